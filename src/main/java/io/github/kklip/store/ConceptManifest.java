package io.github.kklip.store;

import java.io.Serializable;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * One clustering and its soft labels.
 *
 * @param format version of what {@code settings} say: before 2 they do not name the embeddings
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
 * @param centroids SHA-256 of the file of the centroids, hexadecimal: the clustering's identity
 * @param centroidsFile inside the dataset's folder
 * @param made digest in the footers of the labels ({@link #made(ProcessingSettings, String)})
 * @param files for the identity of each pair shard the file of its labels, inside the dataset's
 *     folder
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
    String centroidsFile,
    String made,
    SortedMap<String, String> files)
    implements Serializable {
  /** The layout that this program writes. */
  public static final int FORMAT = 2;

  public ConceptManifest {
    inertia = List.copyOf(inertia);
    sizes = List.copyOf(sizes);
    files = Collections.unmodifiableSortedMap(new TreeMap<>(files));
  }

  /** What labels were made with: the settings and the clustering, so that others never pass. */
  public static String made(ProcessingSettings settings, String centroids) {
    SortedMap<String, String> all = new TreeMap<>(settings.values());
    all.put("centroids", centroids);
    return Identity.ofSettings(all);
  }

  /** Whether the pairs of a shard have labels. */
  public boolean contains(Shard pairs) {
    return files.containsKey(pairs.identity());
  }

  /** The same clustering with labels in these files. */
  public ConceptManifest with(SortedMap<String, String> labels) {
    return new ConceptManifest(
        format,
        settings,
        teacher,
        k,
        dimension,
        temperature,
        perplexity,
        topK,
        topMass,
        inertia,
        sizes,
        centroids,
        centroidsFile,
        made,
        labels);
  }
}
