package io.github.kklip.train.plan;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Role;
import io.github.kklip.config.Roles;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.config.StudentSettings;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Postprocessing;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.text.StudentTokenizer;
import java.io.IOException;
import java.io.Serializable;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * What a run is to do, checked once and then shipped to every rank, so that all ranks see the same
 * manifests.
 *
 * @param dataset the dataset's folder
 * @param manifest number of the manifest that all of it is from
 * @param shards the training shards
 * @param tokenizer the folder of the student's tokenizer
 * @param student the student's {@code config.json}
 * @param teacher the teacher's embeddings; null when their loss has weight 0
 * @param concepts the concept labels; null when their loss has weight 0
 * @param identity what makes the weights what they are: a run goes on only from a checkpoint with
 *     the same
 * @param tracking the MLflow server of the driver's environment
 */
public record TrainPlan(
    Settings settings,
    String dataset,
    long manifest,
    List<Shard> shards,
    String tokenizer,
    String student,
    TeacherData teacher,
    ConceptData concepts,
    SortedMap<String, String> identity,
    Tracking tracking)
    implements Serializable {

  /**
   * Embeddings to read.
   *
   * @param meanDigest {@link TeacherManifest#meanDigest}
   * @param files for the identity of each pair shard its file, inside the dataset's folder
   */
  public record TeacherData(
      String name,
      ProcessingSettings settings,
      int dimension,
      Postprocessing postprocessing,
      String meanDigest,
      SortedMap<String, String> files)
      implements Serializable {}

  /**
   * Labels to read.
   *
   * @param centroids SHA-256 of the centroids, which says which concepts the numbers mean
   * @param made digest of what the labels were made with
   * @param files for the identity of each pair shard its file, inside the dataset's folder
   */
  public record ConceptData(
      String name,
      ProcessingSettings settings,
      int k,
      String centroids,
      String made,
      SortedMap<String, String> files)
      implements Serializable {}

  /**
   * Reads the manifests and lists the folders: all that the losses need must be there.
   *
   * @throws SettingsException when the pairs, or the data of a loss that has weight, are missing or
   *     incomplete
   */
  public static TrainPlan of(Settings settings, Configuration configuration) throws IOException {
    return of(settings, configuration, InputDigests.ofStudent(settings.student().init()));
  }

  /**
   * The same without reading the weights of {@code student.init}, which may be large.
   *
   * @param older the identity of the run that is there, whose weights are taken to be these; empty:
   *     there is none
   */
  public static TrainPlan withoutWeights(
      Settings settings, Configuration configuration, Map<String, String> older)
      throws IOException {
    String none = InputDigests.ofStudent("");
    if (settings.student().init().isEmpty()) {
      return of(settings, configuration, none);
    }
    String before = older.getOrDefault(Roles.name(Role.Output.RUN, "student.init"), none);
    return of(settings, configuration, before.equals(none) ? "given" : before);
  }

  private static TrainPlan of(Settings settings, Configuration configuration, String init)
      throws IOException {
    Settings.required(settings.train().output(), "train.output");
    String dataset = Settings.required(settings.dataset(), "dataset");
    DatasetFolder folder = new DatasetFolder(dataset, configuration);
    DatasetManifest manifest = folder.requireManifest();
    List<Shard> shards = manifest.shards(Split.TRAIN);
    requirePairs(folder, shards);
    SampleOrder.requireRows(settings.train().schedule().batch(), manifest.rows(Split.TRAIN));
    TrainSettings.LossSettings loss = settings.train().loss();
    TeacherData teacher = loss.emb() > 0 ? teacher(settings, folder, manifest) : null;
    ConceptData concepts = loss.concept() > 0 ? concepts(settings, folder, manifest) : null;
    String tokenizer = tokenizer(settings, folder, manifest);
    String student;
    try (StudentTokenizer loaded = StudentTokenizer.load(tokenizer, configuration)) {
      ClipConfig shape = fitted(settings.student(), shape(settings.student()), loaded);
      student = shape.json();
    }
    return new TrainPlan(
        settings,
        dataset,
        manifest.number(),
        shards,
        tokenizer,
        student,
        teacher,
        concepts,
        identity(
            settings,
            manifest,
            student,
            init,
            InputDigests.ofTokenizer(tokenizer, configuration),
            teacher,
            concepts),
        Tracking.of(System.getenv()));
  }

  /** Refuses training pairs whose files are not there. */
  public static void requirePairs(DatasetFolder folder, List<Shard> shards) throws IOException {
    checkFiles("pairs", folder, shards.stream().map(Shard::file).toList());
  }

  /**
   * The folder of the student's tokenizer.
   *
   * @throws SettingsException when it is to be the dataset's, which has none
   * @throws IOException when the dataset's is damaged
   */
  public static String tokenizer(Settings settings, DatasetFolder folder, DatasetManifest manifest)
      throws IOException {
    return settings.student().tokenizer().isEmpty()
        ? folder.requireTokenizer(manifest).toString()
        : settings.student().tokenizer();
  }

  /** The shape that {@code student.init} or {@code student.config} gives. */
  public static ClipConfig shape(StudentSettings student) {
    return ClipConfig.read(student.init().isEmpty() ? student.config() : student.init());
  }

  /**
   * The student's shape with this tokenizer: built-in shapes take its vocabulary, others must fit.
   *
   * @throws io.github.kklip.text.TokenizerException when it does not fit
   */
  public static ClipConfig fitted(
      StudentSettings student, ClipConfig shape, StudentTokenizer tokenizer) {
    boolean takes = student.init().isEmpty() && ClipConfig.BUILT_IN.contains(student.config());
    ClipConfig fitted = takes ? shape.withVocabulary(tokenizer.vocabSize()) : shape;
    tokenizer.checkFits(fitted.text().vocabulary(), fitted.text().endId());
    return fitted;
  }

  /**
   * The embeddings to read.
   *
   * @param dataset to train on
   * @throws SettingsException when there are none, or not for all training shards
   */
  public static TeacherData teacher(
      Settings settings, DatasetFolder folder, DatasetManifest dataset) throws IOException {
    String name = settings.teacher().name();
    TeacherManifest manifest = dataset.teachers().get(name);
    if (manifest == null) {
      throw missing("emb", "embeddings", name, folder, "embed");
    }
    check("embeddings", folder, dataset, folder.teacher(name), manifest.files(), "embed");
    return new TeacherData(
        name,
        manifest.settings(),
        manifest.dimension(),
        Postprocessing.of(settings.teacher().postprocess(), manifest),
        manifest.meanDigest(),
        manifest.files());
  }

  /**
   * The labels to read.
   *
   * @param dataset to train on
   * @throws SettingsException when there are none, or not for all training shards
   */
  public static ConceptData concepts(
      Settings settings, DatasetFolder folder, DatasetManifest dataset) throws IOException {
    String name = settings.concepts().name();
    ConceptManifest manifest = dataset.concepts().get(name);
    if (manifest == null) {
      throw missing("concept", "labels", name, folder, "cluster");
    }
    check("labels", folder, dataset, folder.concepts(name), manifest.files(), "cluster");
    return new ConceptData(
        name,
        manifest.settings(),
        manifest.k(),
        manifest.centroids(),
        manifest.made(),
        manifest.files());
  }

  private static SettingsException missing(
      String loss, String what, String name, DatasetFolder folder, String job) {
    return new SettingsException(
        message(
            "Cannot train with the loss %s because the dataset %s has no %s called %s. Run `%s`, or set train.loss.%s = 0.",
            loss, folder.root(), what, name, job, loss));
  }

  private static void check(
      String what,
      DatasetFolder folder,
      DatasetManifest dataset,
      Path where,
      SortedMap<String, String> files,
      String job)
      throws IOException {
    List<String> wanted =
        dataset.shards(Split.TRAIN).stream().map(shard -> files.get(shard.identity())).toList();
    long missing = wanted.stream().filter(Objects::isNull).count();
    if (missing > 0) {
      throw new SettingsException(
          message(
              "Cannot train because the %s in %s lack %s of %s training shards. Run `%s` again, which does what is missing.",
              what, where, missing, wanted.size(), job));
    }
    checkFiles(what, folder, wanted);
  }

  private static void checkFiles(String what, DatasetFolder folder, List<String> files)
      throws IOException {
    Set<String> there = folder.present(files);
    List<String> missing = files.stream().filter(name -> !there.contains(name)).toList();
    if (!missing.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot train because %s of %s files of %s that the manifest names are not in the dataset %s: %s%s. Bring them back, or make the %s anew in an empty folder.",
              missing.size(),
              files.size(),
              what,
              folder.root(),
              missing.stream().limit(3).collect(Collectors.joining(", ")),
              missing.size() > 3 ? ", ..." : "",
              what));
    }
  }

  private static SortedMap<String, String> identity(
      Settings settings,
      DatasetManifest manifest,
      String student,
      String init,
      String tokenizer,
      TeacherData teacher,
      ConceptData concepts) {
    Map<String, String> contents = new TreeMap<>();
    contents.put("dataset", manifest.settings().digest());
    contents.put("student.config", describe(student));
    contents.put("student.init", init);
    contents.put("student.tokenizer", tokenizer);
    if (teacher != null) {
      contents.put(
          "teacher.name",
          TeacherManifest.content(teacher.name, teacher.settings, teacher.meanDigest));
    }
    if (concepts != null) {
      contents.put(
          "concepts.name",
          message(
              "%s %s, centroids %s",
              concepts.name, concepts.settings.digest(), concepts.centroids));
    }
    return Roles.identity(settings, Role.Output.RUN, contents);
  }

  /** Sizes for a person, and a digest for what they leave out. */
  private static String describe(String student) {
    ClipConfig shape = ClipConfig.parse(student, "the plan of the run");
    ClipConfig.Text text = shape.text();
    ClipConfig.Vision vision = shape.vision();
    return String.format(
        Locale.ROOT,
        "text %d x %d, images of %d in patches of %d, %d x %d, projection %d, digest %.8s",
        text.layers(),
        text.width(),
        vision.image(),
        vision.patch(),
        vision.layers(),
        vision.width(),
        shape.projection(),
        Identity.ofSettings(new TreeMap<>(Map.of("json", student))));
  }

  /** The same run, told to another server. */
  public TrainPlan with(Tracking other) {
    return with(teacher, concepts, other);
  }

  /** The same run with the derived files that it began with, of what its losses need. */
  public TrainPlan with(DerivedFiles began) {
    return with(
        teacher == null
            ? null
            : new TeacherData(
                teacher.name,
                teacher.settings,
                teacher.dimension,
                teacher.postprocessing,
                teacher.meanDigest,
                began.teacher()),
        concepts == null
            ? null
            : new ConceptData(
                concepts.name,
                concepts.settings,
                concepts.k,
                concepts.centroids,
                began.made(),
                began.labels()),
        tracking);
  }

  private TrainPlan with(TeacherData vectors, ConceptData labels, Tracking server) {
    return new TrainPlan(
        settings, dataset, manifest, shards, tokenizer, student, vectors, labels, identity, server);
  }

  /**
   * The derived files of these shards.
   *
   * @throws SettingsException when a shard has none
   */
  public DerivedFiles derived(List<Shard> over) {
    return new DerivedFiles(
        teacher == null ? new TreeMap<>() : of(over, teacher.files, "embeddings", teacher.name),
        concepts == null ? new TreeMap<>() : of(over, concepts.files, "labels", concepts.name),
        concepts == null ? "" : concepts.made);
  }

  private SortedMap<String, String> of(
      List<Shard> over, SortedMap<String, String> files, String what, String name) {
    SortedMap<String, String> found = new TreeMap<>();
    for (Shard shard : over) {
      String file = files.get(shard.identity());
      if (file == null) {
        throw new SettingsException(
            message(
                "Cannot go on with the shards that the run began with because the %s %s of the dataset %s no longer have any for %s. Its checkpoint is of an earlier version and does not name them. Use another train.output.",
                what, name, dataset, shard.file()));
      }
      found.put(shard.identity(), file);
    }
    return found;
  }

  /** The order of samples over these shards. */
  public SampleOrder order(List<Shard> over) {
    return new SampleOrder(
        settings.seed(),
        over.stream().map(Shard::blockRows).toList(),
        settings.train().schedule().batch());
  }

  /** Steps of the whole run over these shards. */
  public long steps(SampleOrder order) {
    return settings.train().schedule().steps() > 0
        ? settings.train().schedule().steps()
        : settings.train().schedule().epochs() * order.stepsPerEpoch();
  }

  public ClipConfig shape() {
    return ClipConfig.parse(student, "the plan of the run");
  }

  /**
   * What the heads refer to, for the metadata of the file that holds them: SHA-256 of the mean that
   * the teacher's embeddings were centred by, and of the centroids that number the concepts.
   */
  public SortedMap<String, String> headInputs() {
    SortedMap<String, String> inputs = new TreeMap<>();
    if (teacher != null) {
      inputs.put("teacher_mean_sha256", teacher.meanDigest);
    }
    if (concepts != null) {
      inputs.put("concept_centroids_sha256", concepts.centroids);
    }
    return inputs;
  }

  /** The heads that the losses train. */
  public ClipModel.Heads heads() {
    return new ClipModel.Heads(
        teacher == null ? 0 : teacher.dimension(),
        concepts == null ? 0 : concepts.k(),
        settings.train().step().sharedClassifier());
  }
}
