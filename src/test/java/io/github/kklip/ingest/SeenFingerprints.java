package io.github.kklip.ingest;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import java.io.IOException;
import java.util.SortedSet;
import java.util.TreeSet;

/** The fingerprints of a dataset for tests of other packages, read as the stage reads them. */
public final class SeenFingerprints {
  private SeenFingerprints() {}

  public static SortedSet<String> read(DatasetFolder dataset, DatasetManifest manifest)
      throws IOException {
    return new TreeSet<>(SeenFiles.read(dataset, manifest));
  }
}
