package io.github.kklip.concept;

import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import java.util.List;
import org.apache.hadoop.fs.Path;

/**
 * The file {@code quality-CLUSTERING.json}: how good the concepts are, by themselves and against
 * the images.
 *
 * @param silhouette mean over a sample ({@link Silhouette})
 * @param perplexityEdges bins of the soft labels' perplexity, and the rows of each
 * @param sameImagePairs pairs of training captions of one image ({@link ImageAgreement})
 * @param sameConcept share of these pairs whose captions have the same first concept
 * @param sameConceptByChance that share for captions of any images
 */
record Quality(
    double silhouette,
    int silhouetteRows,
    List<Double> perplexityEdges,
    List<Long> perplexityRows,
    long sameImagePairs,
    double sameConcept,
    double sameConceptByChance) {
  /** Its file. */
  static Path file(DatasetFolder folder, String name, ConceptManifest clustering) {
    return new Path(folder.concepts(name), "quality-" + clustering.made() + ".json");
  }

  static Quality of(Clustering clustering, ImageAgreement agreement) {
    return new Quality(
        clustering.silhouette().mean(),
        clustering.silhouette().rows(),
        java.util.Arrays.stream(clustering.perplexities().edges()).boxed().toList(),
        java.util.Arrays.stream(clustering.perplexities().rows()).boxed().toList(),
        agreement.pairs(),
        agreement.same(),
        agreement.chance());
  }
}
