package io.github.kklip.config;

import static io.github.kklip.config.Role.Kind.NONE;
import static io.github.kklip.config.Role.Output.CONCEPTS;
import static io.github.kklip.config.Role.Output.RUN;
import static io.github.kklip.config.Role.When.CONCEPT_HAS_WEIGHT;
import static io.github.kklip.config.Role.When.TEMPERATURE_IS_AUTO;
import static io.github.kklip.config.Role.When.TOP_K_IS_AUTO;

import java.io.Serializable;
import java.util.OptionalDouble;
import java.util.OptionalInt;

/** The concepts: how they are found, and what labels of them are. */
public record ConceptSettings(
    @Key(text = Key.TextForm.FOLDER_NAME)
        @Role(value = CONCEPTS, kind = NONE)
        @Role(value = RUN, when = CONCEPT_HAS_WEIGHT, content = "its labels and centroids")
        String name,
    @Key(min = 2, max = 1_000_000) @Role(CONCEPTS) int k,
    @Role(value = CONCEPTS, kind = NONE) boolean recluster,
    @Key(flat = true) KMeansSettings kmeans,
    @Key(flat = true) LabelSettings labels)
    implements Section.Checked, Serializable {
  @Override
  public void check(Section section) {
    section.require(
        !labels.temperature().auto()
            || (labels.targetPerplexity() > 1 && labels.targetPerplexity() < k),
        "target-perplexity",
        "over 1 and under concepts.k = " + k);
    AutoNumber topK = labels.topK();
    section.require(
        topK.auto() || (topK.value() % 1 == 0 && topK.value() <= k),
        "top-k",
        "auto or a whole number from 1 to " + k);
    section.require(
        kmeans.batchRows() == 0 || kmeans.engine() == KMeansEngine.GEMM,
        "batch-rows",
        "0 with concepts.engine = mllib, which has no mini-batches");
  }

  /** Who computes k-means. */
  public enum KMeansEngine {
    GEMM,
    MLLIB
  }

  /** The distance of k-means. */
  public enum KMeansMetric {
    EUCLIDEAN,
    COSINE
  }

  /** How k-means starts: k-means||, or k-means++ on a sample. */
  public enum KMeansStart {
    PARALLEL,
    SAMPLE
  }

  /** How centroids are found. */
  public record KMeansSettings(
      @Role(CONCEPTS) KMeansEngine engine,
      @Role(CONCEPTS) KMeansMetric metric,
      @Role(CONCEPTS) KMeansStart start,
      @Key(min = 1, max = 100_000) @Role(CONCEPTS) int iterations,
      @Role(CONCEPTS) double tolerance,
      @Key(min = 1, max = 100) @Role(CONCEPTS) int initSteps,
      @Role(CONCEPTS) long batchRows)
      implements Serializable {}

  /** How soft labels come of distances. */
  public record LabelSettings(
      @Key(min = 1e-12, max = 1e12) @Role(CONCEPTS) AutoNumber temperature,
      @Key(min = 1) @Role(value = CONCEPTS, when = TEMPERATURE_IS_AUTO) double targetPerplexity,
      @Key(min = 1) @Role(CONCEPTS) AutoNumber topK,
      @Key(min = 1e-6, max = 1) @Role(value = CONCEPTS, when = TOP_K_IS_AUTO) double topMass)
      implements Serializable {

    /** The set top-k; empty when it is {@code auto}. */
    public OptionalInt fixedTopK() {
      return topK.auto() ? OptionalInt.empty() : OptionalInt.of((int) topK.value());
    }

    /** The set temperature; empty when it is {@code auto}. */
    public OptionalDouble fixedTemperature() {
      return temperature.auto() ? OptionalDouble.empty() : OptionalDouble.of(temperature.value());
    }
  }
}
