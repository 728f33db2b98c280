package io.github.kklip.ingest;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.publication.Digests;
import io.github.kklip.store.publication.Publication;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.Path;

/**
 * The archives and Parquet files that runs have read to their ends, in files that the manifest
 * names: a line for each, a hash of its path, length, time of modification and of how it was read.
 * They are not looked at again.
 */
final class SeenFiles {
  private SeenFiles() {}

  /** The fingerprints of all that was read. */
  static Set<String> read(DatasetFolder dataset, DatasetManifest manifest) throws IOException {
    Set<String> fingerprints = new HashSet<>();
    for (Generation generation : manifest.generations()) {
      for (String name : generation.seenFiles()) {
        byte[] lines = Digests.read(dataset.configuration(), dataset.file(name));
        fingerprints.addAll(new String(lines, StandardCharsets.US_ASCII).lines().toList());
      }
    }
    return fingerprints;
  }

  /**
   * Writes the fingerprints of a run.
   *
   * @return the files that list them, inside the dataset's folder
   */
  static List<String> write(DatasetFolder dataset, List<String> fingerprints) throws IOException {
    if (fingerprints.isEmpty()) {
      return List.of();
    }
    String lines = fingerprints.stream().map(print -> print + "\n").collect(Collectors.joining());
    Path file =
        Publication.writeByContent(
            dataset.configuration(),
            new Path(dataset.root(), "sources/seen.txt"),
            lines.getBytes(StandardCharsets.US_ASCII));
    return List.of(dataset.inside(file));
  }
}
