package io.github.kklip.concept;

import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import java.io.IOException;

/** The centroids of a dataset for tests of other packages, read as the stage reads them. */
public final class StoredCentroids {
  private StoredCentroids() {}

  public static float[] read(DatasetFolder dataset, ConceptManifest labels) throws IOException {
    return Centroids.read(dataset, labels, new float[labels.dimension()]).values();
  }
}
