package io.github.kklip.ingest.sources;

import io.github.kklip.store.publication.Json;
import java.util.List;

/**
 * A piece of a source that one task reads.
 *
 * @param source index of the source in the settings
 * @param path the file, or the folder of {@code names}
 * @param part which piece of the file
 * @param from where the piece begins: byte, row group or index, as the format has it
 * @param count rows of the piece, where the format needs it
 * @param names the files of the piece, for folders
 */
public record Unit(int source, String path, int part, long from, long count, List<String> names) {
  public static Unit whole(int source, String path) {
    return new Unit(source, path, 0, 0, 0, List.of());
  }

  /** As text, which every Spark serializer carries. */
  public String encode() {
    return Json.line(this);
  }

  public static Unit decode(String text) {
    return Json.parse(text, Unit.class);
  }
}
