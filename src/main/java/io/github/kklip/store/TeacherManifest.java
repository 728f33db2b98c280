package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import java.io.Serializable;
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
    return Identity.ofBytes(bytes.array());
  }

  /** What embeddings are, for what is made of them: their settings and their mean. */
  public static String content(String name, ProcessingSettings settings, String meanDigest) {
    return message("%s %s, mean %s", name, settings.digest(), meanDigest);
  }
}
