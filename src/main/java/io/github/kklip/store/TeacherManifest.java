package io.github.kklip.store;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * What a folder of embeddings is made of.
 *
 * @param format version of this layout
 * @param settings what decides the embeddings: weights, pooling, layer and so on
 * @param dimension numbers of one embedding
 * @param storage {@code float32} or {@code float16}
 * @param shards the pair shards whose embeddings are there
 * @param meanRows training rows that the mean is over; 0 while there is no mean
 * @param mean mean of the raw training embeddings in shard order, float64; frozen when first
 *     complete, empty before
 */
public record TeacherManifest(
    int format,
    ProcessingSettings settings,
    int dimension,
    VectorStorage storage,
    List<Shard> shards,
    long meanRows,
    List<Double> mean)
    implements Serializable {
  /** The layout that this program writes. */
  public static final int FORMAT = 1;

  public TeacherManifest {
    shards = List.copyOf(shards);
    mean = List.copyOf(mean);
  }

  /** SHA-256 of the mean's numbers, big-endian: 64 hexadecimal digits. */
  public String meanDigest() {
    ByteBuffer bytes = ByteBuffer.allocate(mean.size() * Double.BYTES);
    mean.forEach(bytes::putDouble);
    try {
      return Identity.ofBytes(new ByteArrayInputStream(bytes.array()));
    } catch (IOException e) {
      throw new UncheckedIOException("Bytes in memory cannot be read", e);
    }
  }
}
