package io.github.kklip.store;

import io.github.kklip.store.publication.Digests;
import io.github.kklip.store.publication.Publication;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.apache.hadoop.fs.Path;

/**
 * The ids of rows and images that were taken down, in files that the manifest names: one id a line.
 * What has one of them does not come back.
 */
public final class Takedowns {
  private Takedowns() {}

  /** All ids that were taken down. */
  public static SortedSet<String> read(DatasetFolder dataset, DatasetManifest manifest)
      throws IOException {
    SortedSet<String> ids = new TreeSet<>();
    for (String name : manifest.removed()) {
      byte[] lines = Digests.read(dataset.configuration(), dataset.file(name));
      ids.addAll(new String(lines, StandardCharsets.US_ASCII).lines().toList());
    }
    return ids;
  }

  /**
   * Writes the ids of one takedown.
   *
   * @return the file, inside the dataset's folder
   */
  public static String write(DatasetFolder dataset, SortedSet<String> ids) throws IOException {
    String lines = ids.stream().map(id -> id + "\n").collect(Collectors.joining());
    return dataset.inside(
        Publication.writeByContent(
            dataset.configuration(),
            new Path(dataset.root(), "removed/ids.txt"),
            lines.getBytes(StandardCharsets.US_ASCII)));
  }

  /** Whether a row was taken down, itself or by its image, or as a copy of one that was. */
  public static boolean contains(Set<String> ids, Pair row) {
    return ids.contains(row.id())
        || ids.contains(row.imageId())
        || ids.contains(Identity.ofPair(row.imageId(), row.caption()));
  }
}
