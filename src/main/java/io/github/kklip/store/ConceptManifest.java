package io.github.kklip.store;

import java.io.Serializable;
import java.util.List;

/**
 * What a folder of soft concept labels is made of.
 *
 * @param format version of this layout
 * @param settings what decides the labels: teacher, k, engine and so on
 * @param teacher name of the embeddings that were clustered
 * @param k number of concepts
 * @param dimension numbers of one centroid
 * @param temperature tau of the soft labels
 * @param perplexity exp(mean entropy) of the full soft labels over training rows
 * @param topK concepts kept in a label
 * @param topMass mean mass of the kept concepts before they are renormalised
 * @param inertia sum of squared distances to the nearest centroid before each Lloyd iteration and
 *     at the end
 * @param sizes training rows nearest to each centroid
 * @param centroids SHA-256 of centroids.safetensors, hexadecimal
 * @param shards the pair shards whose labels are there
 */
public record ConceptManifest(
    int format,
    ProcessingSettings settings,
    String teacher,
    int k,
    int dimension,
    double temperature,
    double perplexity,
    int topK,
    double topMass,
    List<Double> inertia,
    List<Long> sizes,
    String centroids,
    List<Shard> shards)
    implements Serializable {
  /** The layout that this program writes. */
  public static final int FORMAT = 2;

  public ConceptManifest {
    inertia = List.copyOf(inertia);
    sizes = List.copyOf(sizes);
    shards = List.copyOf(shards);
  }
}
