package io.github.kklip.jobs;

import com.fasterxml.jackson.annotation.JsonIgnore;
import java.util.List;

/**
 * Files of a dataset.
 *
 * @param manifest number of the manifest that names them
 * @param paths as other programs open them: local ones without {@code file:}
 */
public record FilesSummary(
    String dataset, String kind, long manifest, int files, @JsonIgnore List<String> paths) {
  public FilesSummary {
    paths = List.copyOf(paths);
  }
}
