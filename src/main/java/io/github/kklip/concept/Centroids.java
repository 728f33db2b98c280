package io.github.kklip.concept;

import static io.github.kklip.config.Message.message;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.safetensors.SafetensorsWriter;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Identity;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.publication.TemporaryFolder;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteOrder;
import java.nio.file.Files;
import org.apache.hadoop.fs.Path;

/**
 * The file {@code centroids-DIGEST.safetensors}: one tensor {@code centroids} [k, dimension] in
 * float32, in the space of the processed embeddings.
 */
final class Centroids {
  private static final String TENSOR = "centroids";

  private Centroids() {}

  record Written(String sha256, String file) {}

  /**
   * Writes the file.
   *
   * @param origin what was subtracted from the rows that were clustered
   * @return SHA-256 of the file, hexadecimal, and the file inside the dataset's folder
   */
  static Written write(DatasetFolder folder, String name, Centres centres, float[] origin)
      throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    new SafetensorsWriter()
        .add(TENSOR, moved(centres, origin, 1).values(), centres.k(), centres.dimension())
        .writeTo(bytes);
    byte[] file = bytes.toByteArray();
    Path written =
        Publication.writeByContent(
            folder.configuration(), new Path(folder.concepts(name), "centroids.safetensors"), file);
    return new Written(Identity.ofBytes(file), folder.inside(written));
  }

  /** Reads the file and moves the centroids by {@code -origin}. */
  static Centres read(DatasetFolder folder, ConceptManifest manifest, float[] origin)
      throws IOException {
    Path path = folder.file(manifest.centroidsFile());
    // Safetensors are mapped, which takes a local file.
    try (TemporaryFolder temporary = TemporaryFolder.create("centroids")) {
      java.nio.file.Path local = temporary.path().resolve(path.getName());
      try (InputStream in = Storage.of(folder.configuration(), path).open(path)) {
        Files.copy(in, local);
      }
      String digest = Identity.ofBytes(Files.readAllBytes(local));
      if (!digest.equals(manifest.centroids())) {
        throw new IOException(
            message(
                "Cannot use %s because it is not the file of its manifest: its SHA-256 is %s. Bring that back, or cluster anew with concepts.recluster = true.",
                path, digest));
      }
      float[] values = new float[manifest.k() * manifest.dimension()];
      Safetensors.open(local)
          .bytes(TENSOR)
          .order(ByteOrder.LITTLE_ENDIAN)
          .asFloatBuffer()
          .get(values);
      return moved(new Centres(manifest.k(), manifest.dimension(), values), origin, -1);
    }
  }

  private static Centres moved(Centres centres, float[] by, int sign) {
    float[] values = centres.values().clone();
    for (int i = 0; i < values.length; i++) {
      values[i] += sign * by[i % by.length];
    }
    return new Centres(centres.k(), centres.dimension(), values);
  }
}
