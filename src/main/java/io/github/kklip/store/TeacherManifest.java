package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import java.io.Serializable;
import java.nio.ByteBuffer;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a set of embeddings is made of.
 *
 * @param settings what decides the embeddings: weights, pooling, layer and so on
 * @param dimension numbers of one embedding
 * @param storage {@code float32} or {@code float16}
 * @param files for the identity of each pair shard the file of its embeddings, inside the dataset's
 *     folder
 * @param meanRows training rows that the mean is over; 0 while there is no mean
 * @param mean mean of the raw training embeddings in shard order, float64; frozen when first
 *     complete, empty before
 */
public record TeacherManifest(
    ProcessingSettings settings,
    int dimension,
    VectorStorage storage,
    SortedMap<String, String> files,
    long meanRows,
    List<Double> mean)
    implements Serializable {

  public TeacherManifest {
    files = Collections.unmodifiableSortedMap(new TreeMap<>(files));
    mean = List.copyOf(mean);
  }

  /** The same embeddings in these files. */
  public TeacherManifest with(SortedMap<String, String> vectors) {
    return new TeacherManifest(settings, dimension, storage, vectors, meanRows, mean);
  }

  /** Whether the pairs of a shard have embeddings. */
  public boolean contains(Shard pairs) {
    return files.containsKey(pairs.identity());
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
