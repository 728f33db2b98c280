package io.github.kklip.concept;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.data.Offset.offset;
import static org.assertj.core.data.Percentage.withPercentage;

import io.github.kklip.config.ConceptSettings;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Distances;
import io.github.kklip.kmeans.Lloyd;
import io.github.kklip.kmeans.ParallelStart;
import io.github.kklip.kmeans.RowStatistics;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Label;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.Postprocessing;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.Vector;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.VectorFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.mllib.clustering.KMeansModel;
import org.apache.spark.mllib.linalg.Vectors;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ConceptStageTest {
  private static JavaSparkContext spark;

  @TempDir Path root;
  private EmbeddedDataset dataset;

  @BeforeAll
  static void start() {
    spark =
        new JavaSparkContext(
            new SparkConf()
                .setMaster("local[2]")
                .setAppName("concepts")
                .set("spark.ui.enabled", "false"));
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  @BeforeEach
  void makeDataset() throws IOException {
    dataset = new EmbeddedDataset(root);
    dataset.generation(3, 1, "first");
    dataset.embedded(dataset.mean());
  }

  private Settings settings(String... more) {
    List<String> assignments =
        new ArrayList<>(
            List.of(
                "dataset=" + root,
                "concepts.k=6",
                "concepts.target-perplexity=1.5",
                "concepts.iterations=10"));
    assignments.addAll(List.of(more));
    return Settings.load(List.of(), assignments);
  }

  private ConceptManifest manifest() throws IOException {
    return dataset.folder().requireManifest().concepts().get("concepts");
  }

  /** The file of the labels of a training shard. */
  private Path labelsFile(int shard) throws IOException {
    Shard pairs = dataset.manifest().shards(Split.TRAIN).get(shard);
    return Path.of(dataset.folder().file(manifest().files().get(pairs.identity())).toUri());
  }

  private List<Label> labels(Shard shard) throws IOException {
    DatasetFolder folder = dataset.folder();
    List<Label> labels = new ArrayList<>();
    try (ShardReader<Label> reader =
        ShardReader.open(
            folder.configuration(),
            folder.file(manifest().files().get(shard.identity())),
            new LabelFormat(),
            shard,
            manifest().made())) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        labels.addAll(reader.readGroup(group));
      }
    }
    return labels;
  }

  private List<Vector> embeddings(Shard shard, Settings settings) throws IOException {
    DatasetFolder folder = dataset.folder();
    TeacherManifest teacher = folder.requireManifest().teachers().get("llama");
    Postprocessing postprocessing = Postprocessing.of(settings.teacher().postprocess(), teacher);
    List<Vector> vectors = new ArrayList<>();
    try (ShardReader<Vector> reader =
        ShardReader.open(
            folder.configuration(),
            folder.file(teacher.files().get(shard.identity())),
            VectorFormat.AS_STORED,
            shard,
            teacher.settings().digest())) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        vectors.addAll(reader.readGroup(group));
      }
    }
    vectors.forEach(vector -> postprocessing.apply(vector.values()));
    return vectors;
  }

  /** The soft label of a vector in plain double arithmetic. */
  private static double[] softLabel(float[] t, Centres centres, double temperature) {
    double[] label = new double[centres.k()];
    double total = 0;
    for (int c = 0; c < label.length; c++) {
      double squared = 0;
      for (int j = 0; j < t.length; j++) {
        double difference = (double) t[j] - centres.values()[c * t.length + j];
        squared += difference * difference;
      }
      label[c] = Math.exp(-squared / temperature);
      total += label[c];
    }
    for (int c = 0; c < label.length; c++) {
      label[c] /= total;
    }
    return label;
  }

  private void everyLabelIsTheDefinition(Settings settings) throws IOException {
    ConceptManifest manifest = manifest();
    Centres centres =
        Centroids.read(dataset.folder(), manifest, new float[EmbeddedDataset.DIMENSION]);
    List<Shard> shards = dataset.manifest().shards();
    assertThat(manifest.files().keySet())
        .containsExactlyInAnyOrderElementsOf(shards.stream().map(Shard::identity).toList());
    for (Shard shard : shards) {
      List<Label> labels = labels(shard);
      List<Vector> vectors = embeddings(shard, settings);
      assertThat(labels).hasSize(vectors.size());
      for (int row = 0; row < labels.size(); row++) {
        Label label = labels.get(row);
        assertThat(label.id()).isEqualTo(vectors.get(row).id());
        assertThat(label.concepts()).hasSize(manifest.topK()).doesNotHaveDuplicates();
        double[] expected = softLabel(vectors.get(row).values(), centres, manifest.temperature());
        double kept = 0;
        for (int concept : label.concepts()) {
          kept += expected[concept];
        }
        double before = 1;
        for (int i = 0; i < label.concepts().length; i++) {
          float weight = label.weights()[i];
          assertThat((double) weight)
              .isCloseTo(expected[label.concepts()[i]] / kept, offset(2e-4))
              .isLessThanOrEqualTo(before);
          before = weight;
        }
      }
    }
  }

  @Test
  void labelsBothSplitsByTheDefinition() throws IOException {
    ConceptStage.ConceptResult result = ConceptStage.run(spark, settings());
    assertThat(result.k()).isEqualTo(6);
    assertThat(result.labelled()).isEqualTo(4);
    assertThat(result.perplexity()).isCloseTo(1.5, withPercentage(2));
    assertThat(result.secondsPerIteration()).isPositive();
    ConceptManifest manifest = manifest();
    assertThat(manifest.sizes().stream().mapToLong(Long::longValue).sum()).isEqualTo(450);
    assertThat(manifest.inertia()).hasSize(result.iterations() + 1);
    assertThat(manifest.topMass()).isGreaterThanOrEqualTo(0.95);
    everyLabelIsTheDefinition(settings());
    assertThat(Files.readString(Path.of(result.page().substring("file:".length()))))
        .contains("6 concepts", "a boat in scene", "a &lt;moon&gt; in scene")
        .doesNotContain("<moon>");
  }

  @Test
  void embeddingsThatAreNotCentredGiveTheSameQuality() throws IOException {
    Settings raw = settings("teacher.postprocess=none");
    ConceptStage.run(spark, raw);
    everyLabelIsTheDefinition(raw);
  }

  @Test
  void theValidationSplitHasNoInfluence() throws IOException {
    ConceptStage.run(spark, settings());
    EmbeddedDataset other = new EmbeddedDataset(root.resolve("other"));
    other.generation(3, 0, "first");
    other.generation(0, 2, "another");
    other.embedded(dataset.mean());
    ConceptStage.run(spark, settings("dataset=" + root.resolve("other")));
    assertThat(other.folder().requireManifest().concepts().get("concepts").centroidsFile())
        .isEqualTo(manifest().centroidsFile());
  }

  @Test
  void doesOnlyWhatIsMissing() throws IOException {
    ConceptStage.run(spark, settings());
    Path kept = labelsFile(0);
    Path lost = labelsFile(1);
    byte[] before = Files.readAllBytes(lost);
    FileTime old = FileTime.fromMillis(1_000_000_000_000L);
    Files.setLastModifiedTime(kept, old);
    Files.delete(lost);
    ConceptStage.ConceptResult again = ConceptStage.run(spark, settings());
    assertThat(again.labelled()).isEqualTo(1);
    assertThat(again.secondsPerIteration()).isZero();
    assertThat(Files.getLastModifiedTime(kept)).isEqualTo(old);
    assertThat(Files.readAllBytes(lost)).isEqualTo(before);
  }

  @Test
  void newShardsGetLabelsFromTheExistingCentroids() throws IOException {
    List<Double> mean = dataset.mean();
    ConceptStage.run(spark, settings());
    String centroids = manifest().centroidsFile();
    dataset.generation(2, 1, "second");
    dataset.embedded(mean);
    assertThat(ConceptStage.run(spark, settings()).labelled()).isEqualTo(3);
    assertThat(manifest().centroidsFile()).isEqualTo(centroids);
    everyLabelIsTheDefinition(settings());
  }

  @Test
  void clustersAnewWhenToldTo() throws IOException {
    List<Double> mean = dataset.mean();
    ConceptStage.run(spark, settings());
    dataset.generation(2, 1, "second");
    dataset.embedded(mean);

    Settings recluster = settings("concepts.recluster=true", "concepts.k=7");
    assertThat(ConceptStage.run(spark, recluster).labelled()).isEqualTo(7);
    assertThat(manifest().k()).isEqualTo(7);
    everyLabelIsTheDefinition(recluster);
    ConceptStage.ConceptResult again = ConceptStage.run(spark, recluster);
    assertThat(again.secondsPerIteration()).isZero();
    assertThat(again.labelled()).isZero();
  }

  @Test
  void conceptsThatCannotBeMadeAnewStay() throws IOException {
    ConceptStage.run(spark, settings());
    ConceptManifest before = manifest();

    Settings tooMany = settings("concepts.recluster=true", "concepts.k=100000");
    assertThatThrownBy(() -> ConceptStage.run(spark, tooMany))
        .isInstanceOf(SettingsException.class)
        .hasMessageEndingWith("Set concepts.k to at most that.");
    assertThat(manifest()).isEqualTo(before);
    everyLabelIsTheDefinition(settings());
  }

  @Test
  void miniBatchesOfUnitVectorsFromASampledStartAreGoodConceptsToo() throws IOException {
    double exact = ConceptStage.run(spark, settings("concepts.metric=cosine")).inertia();
    ConceptStage.ConceptResult result =
        ConceptStage.run(
            spark,
            settings(
                "concepts.name=batches",
                "concepts.metric=cosine",
                "concepts.start=sample",
                "concepts.batch-rows=200",
                "concepts.tolerance=0"));

    assertThat(result.iterations()).isEqualTo(10);
    assertThat(result.inertia()).isBetween(0.9 * exact, 1.2 * exact);
  }

  @Test
  void saysHowGoodTheConceptsAre() throws IOException {
    ConceptStage.run(spark, settings());

    Quality quality =
        Json.readIfPresent(
                dataset.folder().configuration(),
                Quality.file(dataset.folder(), "concepts", manifest()),
                Quality.class)
            .orElseThrow();
    long rows = dataset.manifest().rows(Split.TRAIN);
    assertThat(quality.silhouetteRows()).isEqualTo((int) rows);
    assertThat(quality.silhouette()).isBetween(0.1, 1.0);
    assertThat(quality.perplexityRows().stream().mapToLong(n -> n).sum()).isEqualTo(rows);
    assertThat(quality.sameConceptByChance()).isBetween(1.0 / 6 - 1e-9, 1.0);
    assertThat(Path.of(ConceptPage.file(dataset.folder(), "concepts", manifest()).toUri()))
        .content()
        .contains("Mean silhouette of " + rows + " captions")
        .contains("Captions by the perplexity of their soft label");
  }

  @Test
  void aClusteringThatWasInterruptedBeforeItsManifestIsGoneOnWith() throws IOException {
    ConceptStage.run(spark, settings());
    ConceptManifest whole = manifest();
    Files.delete(
        Path.of(ManifestFiles.file(dataset.folder().root(), dataset.manifest().number()).toUri()));
    Path lost = root.resolve(whole.files().values().iterator().next());
    Files.write(lost, new byte[] {1});

    ConceptStage.ConceptResult again = ConceptStage.run(spark, settings());
    assertThat(again.secondsPerIteration()).isZero();
    assertThat(manifest()).isEqualTo(whole);
    everyLabelIsTheDefinition(settings());
  }

  @Test
  void labelsOfAnotherClusteringAreNotTakenForThese() throws IOException {
    ConceptStage.run(spark, settings());
    ConceptManifest first = manifest();
    ConceptStage.run(spark, settings("concepts.recluster=true", "seed=9"));
    Shard shard = dataset.manifest().shards().get(0);
    Files.copy(
        root.resolve(first.files().get(shard.identity())),
        root.resolve(manifest().files().get(shard.identity())),
        java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    assertThatThrownBy(() -> labels(shard))
        .hasMessageContaining("because it was made with other settings");
    assertThat(root.resolve(first.files().get(shard.identity()))).exists();
  }

  @Test
  void refusesOutputOfOtherSettings() throws IOException {
    ConceptStage.run(spark, settings());
    assertThatThrownBy(() -> ConceptStage.run(spark, settings("concepts.k=5")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(
            "because it was made with other settings: concepts.k was 6 and is now"
                + " 5. Use those settings, or another concepts.name, or concepts.recluster = true, which makes them anew.");
  }

  @Test
  void refusesCentroidsThatAreNotOfTheManifest() throws IOException {
    ConceptStage.run(spark, settings());
    Path centroids = root.resolve(manifest().centroidsFile());
    byte[] bytes = Files.readAllBytes(centroids);
    bytes[bytes.length - 1] ^= 1;
    Files.write(centroids, bytes);
    Files.delete(labelsFile(1));
    assertThatThrownBy(() -> ConceptStage.run(spark, settings()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("because it is not the file of its manifest");
  }

  @Test
  void refusesADatasetWithoutWholeEmbeddings() throws IOException {
    dataset.generation(1, 0, "second");
    assertThatThrownBy(() -> ConceptStage.run(spark, settings()))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(
            "because 1 of its shards have no embeddings called llama, the first being"
                + " pairs/1/train-00003-");
    assertThatThrownBy(() -> ConceptStage.run(spark, settings("teacher.name=another")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("because it has no embeddings called another");
  }

  @Test
  void refusesMoreConceptsThanRows() {
    assertThatThrownBy(() -> ConceptStage.run(spark, settings("concepts.k=451")))
        .hasMessage(
            "Cannot make 451 concepts of 450 training rows. Set concepts.k to at most that.");
  }

  @Test
  void mllibGoesTheSameWay() throws IOException {
    VectorSource source =
        VectorSource.of(
            dataset.folder(),
            dataset.folder().requireManifest().teachers().get("llama"),
            TeacherSettings.Postprocess.CENTRE_L2,
            ConceptSettings.KMeansMetric.EUCLIDEAN);
    List<Shard> train = dataset.manifest().shards(Split.TRAIN);
    try (SparkRows rows = SparkRows.of(spark, source, train, 1, 2);
        MLlibEngine mllib = new MLlibEngine(rows)) {
      RowStatistics totals = RowStatistics.of(rows);
      // More centres than things, so that Lloyd's algorithm has something to do.
      Centres start = ParallelStart.centres(rows, totals, 20, 1, 5);
      Lloyd.Engine gemm = Lloyd.gemm(rows, totals);
      Centres centres = start;
      for (int i = 0; i < 6; i++) {
        Lloyd.Step ours = gemm.step(centres);
        Lloyd.Step theirs = mllib.step(centres);
        double cost = costOfSameAssignments(rows, centres);
        assertThat(ours.inertia()).isCloseTo(cost, offset(1e-6 * cost));
        assertThat(theirs.inertia()).isCloseTo(cost, offset(1e-6 * cost));
        assertThat(ours.centres().largestMove(theirs.centres())).isLessThan(1e-5);
        centres = ours.centres();
      }
      assertThat(centres.largestMove(start)).isPositive();
    }
  }

  /**
   * Every row has MLlib's centre, wherever the second best is over 1e-5 worse than the best.
   *
   * @return the squared distances to the chosen centres, summed by difference in float64
   */
  private static double costOfSameAssignments(SparkRows rows, Centres centres) {
    org.apache.spark.mllib.linalg.Vector[] vectors =
        new org.apache.spark.mllib.linalg.Vector[centres.k()];
    for (int c = 0; c < vectors.length; c++) {
      vectors[c] = vector(centres.values(), c, centres.dimension());
    }
    KMeansModel mllib = new KMeansModel(vectors);
    int clear = 0;
    double cost = 0;
    for (VectorBlock block : rows.blocks().collect()) {
      try (Distances distances = new Distances(centres, 1)) {
        int[] ours = distances.assign(block);
        float[] squared = distances.squared(block);
        for (int row = 0; row < ours.length; row++) {
          for (int j = 0; j < block.dimension(); j++) {
            double difference =
                (double) block.values()[row * block.dimension() + j]
                    - centres.values()[ours[row] * block.dimension() + j];
            cost += difference * difference;
          }
          float[] all = Arrays.copyOfRange(squared, row * centres.k(), (row + 1) * centres.k());
          Arrays.sort(all);
          if (all[1] - all[0] > 1e-5 * all[1]) {
            clear++;
            assertThat(ours[row])
                .isEqualTo(mllib.predict(vector(block.values(), row, block.dimension())));
          }
        }
      }
    }
    assertThat(clear).isGreaterThan(400);
    return cost;
  }

  private static org.apache.spark.mllib.linalg.Vector vector(float[] values, int row, int width) {
    double[] vector = new double[width];
    for (int j = 0; j < width; j++) {
      vector[j] = values[row * width + j];
    }
    return Vectors.dense(vector);
  }

  @Test
  void theNumberOfTasksDoesNotMatter() throws IOException {
    VectorSource source =
        VectorSource.of(
            dataset.folder(),
            dataset.folder().requireManifest().teachers().get("llama"),
            TeacherSettings.Postprocess.CENTRE_L2,
            ConceptSettings.KMeansMetric.EUCLIDEAN);
    List<Shard> train = dataset.manifest().shards(Split.TRAIN);
    List<Clustering> clusterings = new ArrayList<>();
    for (int partitions : new int[] {1, 2, 3}) {
      try (SparkRows rows = SparkRows.of(spark, source, train, 1, partitions)) {
        clusterings.add(Clustering.of(rows, settings().concepts(), 3, Lloyd::gemm));
      }
    }
    for (Clustering other : clusterings) {
      assertThat(other.centres().values()).isEqualTo(clusterings.get(0).centres().values());
      assertThat(other.inertia()).isEqualTo(clusterings.get(0).inertia());
      assertThat(other.temperature()).isEqualTo(clusterings.get(0).temperature());
      assertThat(other.perplexity()).isEqualTo(clusterings.get(0).perplexity());
      assertThat(other.members()).isEqualTo(clusterings.get(0).members());
    }
  }

  @Test
  void theMllibEngineMakesTheSameKindOfOutput() throws IOException {
    Settings mllib = settings("concepts.engine=mllib", "concepts.name=by-mllib");
    ConceptStage.ConceptResult ours = ConceptStage.run(spark, settings());
    ConceptStage.ConceptResult theirs = ConceptStage.run(spark, mllib);
    assertThat(theirs.inertia()).isCloseTo(ours.inertia(), withPercentage(1e-3));
    ConceptManifest manifest = dataset.folder().requireManifest().concepts().get("by-mllib");
    assertThat(manifest.files()).hasSameSizeAs(manifest().files());
    assertThat(Json.line(manifest.settings())).contains("\"concepts.engine\":\"MLLIB\"");
  }
}
