package io.github.kklip.ingest;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/**
 * The archives and Parquet files that runs have read to their ends, in files {@code
 * sources/NNNNN.txt}: a line for each, a hash of its path, length, time of modification and of how
 * it was read. They are not looked at again.
 */
record SeenFiles(Set<String> fingerprints, int runs) {
  private static Path folder(DatasetFolder dataset) {
    return new Path(dataset.root(), "sources");
  }

  static SeenFiles read(DatasetFolder dataset) throws IOException {
    Configuration configuration = dataset.configuration();
    Set<String> fingerprints = new HashSet<>();
    int runs = 0;
    try {
      for (FileStatus status :
          Storage.of(configuration, folder(dataset)).listStatus(folder(dataset))) {
        if (status.getPath().getName().matches("\\d{5,}\\.txt")) {
          runs++;
          try (InputStream in =
              Storage.of(configuration, status.getPath()).open(status.getPath())) {
            fingerprints.addAll(
                new String(in.readAllBytes(), StandardCharsets.US_ASCII).lines().toList());
          }
        }
      }
    } catch (FileNotFoundException e) {
      // No run yet.
    }
    return new SeenFiles(fingerprints, runs);
  }

  /** Adds the files of a run that is done. */
  void add(DatasetFolder dataset, List<String> more) throws IOException {
    Path path = new Path(folder(dataset), String.format(Locale.ROOT, "%05d.txt", runs));
    String lines =
        more.stream().map(fingerprint -> fingerprint + "\n").collect(Collectors.joining());
    Publication.write(dataset.configuration(), path, lines.getBytes(StandardCharsets.US_ASCII));
  }
}
