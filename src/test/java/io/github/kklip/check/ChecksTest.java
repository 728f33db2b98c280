package io.github.kklip.check;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.LeaseHost;
import io.github.kklip.train.checkpoint.CheckpointStore;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ChecksTest {
  private static final Machine MACHINE =
      new Machine(new SparkConf(false), true, 2, 8192, Optional.empty());
  private static final List<String> JOBS =
      List.of(
          "ingest", "tokenizer", "embed", "cluster", "train", "evaluate", "export", "run", "demo");

  @TempDir private static Path world;
  private static FinishedRun finished;

  @TempDir private Path folder;

  @BeforeAll
  static void make() throws Exception {
    finished = FinishedRun.make(world);
  }

  /** The folder of the dataset's tokenizer. */
  private static String tokenizer() throws IOException {
    DatasetFolder made =
        new DatasetFolder(world.resolve("dataset").toString(), new Configuration());
    return Path.of(made.requireTokenizer(made.requireManifest()).toUri()).toString();
  }

  private static List<String> problems(String job, Settings settings) {
    return problems(job, settings, CountingStore.configuration(), MACHINE);
  }

  private static List<String> problems(
      String job, Settings settings, Configuration configuration, Machine machine) {
    return Checks.of(job, settings, configuration, machine).problems();
  }

  /** Of the finished run with some settings changed. */
  private static List<String> changed(String job, String... settings) {
    return problems(job, finished.settings(settings));
  }

  /** Of a run that begins, with outputs in an empty folder. */
  private List<String> fresh(String job, String... settings) {
    String[] all = new String[settings.length + 2];
    all[0] = "dataset=" + folder.resolve("new/dataset");
    all[1] = "train.output=" + folder.resolve("new/run");
    System.arraycopy(settings, 0, all, 2, settings.length);
    return problems(job, finished.settings(all));
  }

  private String file(String name, String text) throws IOException {
    Path file = folder.resolve(name);
    Files.createDirectories(file.getParent());
    return Files.writeString(file, text).toString();
  }

  @Test
  void whatIsSoundHasNoProblems() {
    for (String job : JOBS) {
      String report = "evaluate.report=" + folder.resolve("report");
      assertThat(changed(job, report)).as(job).isEmpty();
    }
    assertThat(fresh("run")).isEmpty();
    assertThat(fresh("ingest")).isEmpty();
    assertThat(fresh("demo", "teacher.path=" + folder.resolve("llama"), "evaluate.report=/tmp/r"))
        .isEmpty();
    assertThat(problems("doctor", Settings.load(List.of(), List.of()))).isEmpty();
  }

  @Test
  void nothingIsWrittenAndTheNumberOfRequestsDoesNotDependOnTheData() throws IOException {
    Path source = Files.createDirectories(folder.resolve("source"));
    Files.createFile(source.resolve("0.tar"));
    String[] settings = {
      "ingest.sources=[{format = webdataset, path = \"" + CountingStore.url(source) + "\"}]"
    };
    int before = requests("run", settings);
    for (int i = 1; i < 100; i++) {
      Files.createFile(source.resolve(i + ".tar"));
    }
    assertThat(requests("run", settings)).isEqualTo(before);
    for (String job : JOBS) {
      // Training compares the five files of the tokenizer with the digest in their folder's name.
      int most = List.of("run", "demo").contains(job) ? 45 : job.equals("train") ? 28 : 16;
      assertThat(requests(job)).as(job + " " + CountingStore.REQUESTS).isLessThanOrEqualTo(most);
      assertThat(CountingStore.REQUESTS).as(job).noneMatch(line -> line.startsWith("WRITE"));
    }
  }

  private int requests(String job, String... settings) {
    CountingStore.REQUESTS.clear();
    assertThat(problems(job, finished.settingsAt(CountingStore.url(world), settings)))
        .isEqualTo(
            job.equals("demo")
                ? List.of(
                    "Cannot go on without kklip.evaluate.report: it is empty. Set it, for example by --set evaluate.report=...")
                : List.of());
    return CountingStore.REQUESTS.size();
  }

  @Test
  void allProblemsComeInOneList() throws IOException {
    List<String> found =
        fresh(
            "run",
            "ingest.sources=[{format = webdataset, path = \"" + folder.resolve("x-*.tar") + "\"}]",
            "teacher.path=" + folder.resolve("no-llama"),
            "student.config=medium",
            "train.output=",
            "train.ranks=64",
            "train.batch=64",
            "evaluate.zero-shot=[{name = pets, path = \"" + folder.resolve("pets") + "\"}]",
            "export.path=" + file("a-file", "x") + "/clip");
    assertThat(found).hasSize(7);
    assertThat(found.get(0))
        .isEqualTo(
            "Cannot run with train.ranks = 64 because each rank is a process of its own and this machine has 2 cores. Set train.ranks to at most 2, or give a cluster by --master.");
    assertThat(found.get(1))
        .startsWith("Cannot ingest " + folder.resolve("x-*.tar"))
        .endsWith("Check kklip.ingest.sources[0], a webdataset source.");
    assertThat(found.get(2))
        .startsWith("Cannot read the folder file:" + folder.resolve("no-llama"))
        .endsWith("The setting is teacher.path = " + folder.resolve("no-llama") + ".");
    assertThat(found.get(3))
        .isEqualTo(
            "Cannot go on without kklip.train.output: it is empty. Set it, for example by --set train.output=...");
    assertThat(found.get(4))
        .startsWith("Cannot read a CLIP shape, because there is no such file: medium.")
        .endsWith("The setting is student.config = medium.");
    assertThat(found.get(5)).startsWith("Cannot classify pets because there is no such folder");
    assertThat(found.get(6))
        .startsWith("Cannot write to export.path = " + folder.resolve("a-file/clip"))
        .endsWith("a-file is a file. Set export.path to a folder.");
  }

  @Test
  void everyJobNamesTheKeysThatItNeeds() throws Exception {
    Settings nothing = Settings.load(List.of(), List.of());
    assertThat(problems("ingest", nothing))
        .anyMatch(m -> m.startsWith("Cannot ingest anything because kklip.ingest.sources is empty"))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.dataset"))
        .hasSize(2);
    assertThat(problems("tokenizer", nothing)).hasSize(1);
    assertThat(problems("embed", nothing))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.dataset"))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.teacher.path"))
        .hasSize(2);
    assertThat(problems("cluster", nothing)).hasSize(1);
    assertThat(problems("train", nothing))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.train.output"))
        .hasSize(2);
    assertThat(problems("evaluate", nothing))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.evaluate.model"))
        .hasSize(2);
    assertThat(problems("export", nothing))
        .containsExactly(
            "Cannot go on without kklip.export.model: it is empty. Set it, for example by --set export.model=...");
    // Contrastive loss alone, with a tokenizer of one's own: no teacher and no sources.
    Settings plain =
        Settings.load(
            List.of(),
            List.of(
                "train.loss.emb=0", "train.loss.concept=0", "student.tokenizer=" + tokenizer()));
    assertThat(problems("run", plain))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.dataset"))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.train.output"))
        .hasSize(2);
    assertThat(problems("demo", nothing))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.evaluate.report"))
        .anyMatch(m -> m.startsWith("Cannot go on without kklip.teacher.path"));
  }

  @Test
  void aDatasetThatIsNotThereOrDamagedIsNamed() throws IOException {
    assertThat(fresh("tokenizer"))
        .singleElement()
        .asString()
        .contains("new/dataset: it has no manifest. Make it first, with the job ingest.");
    assertThat(changed("embed", "dataset=" + file("file", "x")))
        .anyMatch(m -> m.contains("file is a file. Set dataset to a folder."));
    file("torn/manifest.json", "{\"format\": 1, \"sett");
    assertThat(changed("run", "dataset=" + folder.resolve("torn")))
        .singleElement()
        .asString()
        .contains("torn/manifest.json because of ")
        .contains("It is damaged or was written by another version.");
  }

  @Test
  void sourcesMustBeThere() throws IOException {
    file("in/deep/er/0.tar", "");
    file("in/0.txt", "");
    file("with [1]/0.tar", "");
    file("empty/readme", "");
    assertThat(ingest("in")).isEmpty();
    assertThat(ingest("in/deep/er/{0..3}.tar")).isEmpty();
    assertThat(ingest("in/d*/er/0.tar")).isEmpty();
    assertThat(ingest("{in,out}/deep/er/*.tar")).isEmpty();
    assertThat(ingest("with [1]")).isEmpty();
    assertThat(ingest("in/deep/er/{1..3}.tar")).singleElement().asString().contains("no such file");
    assertThat(ingest("out"))
        .singleElement()
        .asString()
        .contains("there is no such file or folder");
    assertThat(ingest("in/x*/y/*.tar")).singleElement().asString().contains("no such file");
    assertThat(ingest("empty"))
        .singleElement()
        .asString()
        .contains("the folder holds no file that ends in [.tar, .tar.gz, .tgz, ");
    for (int i = 0; i < 40; i++) {
      file("wide/" + i + "/readme", "");
    }
    CountingStore.REQUESTS.clear();
    assertThat(
            fresh(
                "ingest",
                "ingest.sources=[{format = webdataset, path = \""
                    + CountingStore.url(folder.resolve("wide"))
                    + "\"}]"))
        .as("what cannot be known with few requests is left to ingest")
        .isEmpty();
    assertThat(CountingStore.REQUESTS).hasSizeLessThan(20);
  }

  private List<String> ingest(String path) {
    return fresh(
        "ingest",
        "ingest.sources=[{format = webdataset, path = \"" + folder.resolve(path) + "\"}]");
  }

  @Test
  void aTeacherMustBeAWholeLlama() throws Exception {
    Path llama = finished.copy("llama", folder.resolve("llama"));
    String set = "teacher.path=" + llama;
    assertThat(fresh("run", set)).isEmpty();
    assertThat(fresh("run", set, "teacher.layer=7")).singleElement().asString().contains("layer");
    String weights = Files.readString(llama.resolve("config.json"));
    Files.move(llama.resolve("model.safetensors"), llama.resolve("model-00001-of-2.safetensors"));
    assertThat(fresh("run", set))
        .singleElement()
        .asString()
        .contains("because it has neither model.safetensors nor model.safetensors.index.json");
    Files.writeString(
        llama.resolve("model.safetensors.index.json"),
        "{\"weight_map\": {\"a\": \"model-00001-of-2.safetensors\", \"b\": \"model-00002-of-2.safetensors\"}}");
    assertThat(fresh("run", set))
        .singleElement()
        .asString()
        .contains("names a file that is not there: model-00002-of-2.safetensors");
    Files.writeString(
        llama.resolve("model-00002-of-2.safetensors"),
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 493\n");
    assertThat(fresh("run", set))
        .singleElement()
        .asString()
        .contains("model-00002-of-2.safetensors because it is a Git LFS pointer");
    Files.delete(llama.resolve("model-00002-of-2.safetensors"));
    Files.delete(llama.resolve("tokenizer.json"));
    assertThat(fresh("run", set))
        .singleElement()
        .asString()
        .contains("neither tokenizer.json nor tokenizer.model");
    Files.writeString(llama.resolve("config.json"), weights.replace("\"llama\"", "\"qwen2\""));
    assertThat(fresh("run", set))
        .singleElement()
        .asString()
        .contains("its model_type is 'qwen2', not 'llama'");
    assertThat(fresh("run", "teacher.path=" + llama.resolve("config.json")))
        .as("a file in place of a folder")
        .singleElement()
        .asString()
        .contains("because there is no such folder");
    Files.writeString(
        llama.resolve("config.json"),
        weights
            .replaceFirst("\"intermediate_size\" : \\d+", "\"intermediate_size\": 200000")
            .replaceFirst("\"num_hidden_layers\" : \\d+", "\"num_hidden_layers\": 1000"));
    Files.copy(world.resolve("llama/tokenizer.json"), llama.resolve("tokenizer.json"));
    Files.createFile(llama.resolve("model-00002-of-2.safetensors"));
    assertThat(fresh("run", set))
        .singleElement()
        .asString()
        .startsWith("Cannot load the teacher " + llama + " because it needs ")
        .contains("and 8.0 GiB of memory are available");
    assertThat(fresh("run", set, "teacher.dtype=float16"))
        .singleElement()
        .asString()
        .contains("teacher.dtype = float16 because the teacher runs on the CPU");
    assertThat(fresh("run", "teacher.path=" + llama, "train.loss.emb=0", "train.loss.concept=0"))
        .as("losses of weight 0 need no teacher")
        .isEmpty();
  }

  @Test
  void aTeacherThatIsGoneIsNotMissedWhenItsEmbeddingsAreWhole() throws Exception {
    assertThat(changed("embed", "teacher.path=" + folder.resolve("gone"))).isEmpty();
    assertThat(changed("embed", "teacher.path=")).isEmpty();
    assertThat(changed("embed", "teacher.path=", "teacher.pooling=last"))
        .singleElement()
        .asString()
        .contains("teacher.pooling was mean and is now last");
    Path dataset = finished.copy("dataset", folder.resolve("dataset"));
    DatasetFolder copied = new DatasetFolder(dataset.toString(), new Configuration());
    DatasetManifest manifest = copied.requireManifest();
    Files.delete(
        dataset.resolve(
            manifest.teachers().get("llama").files().get(manifest.shards().get(0).identity())));
    assertThat(changed("embed", "dataset=" + dataset, "teacher.path="))
        .singleElement()
        .asString()
        .startsWith("Cannot go on without kklip.teacher.path");
  }

  @Test
  void outputsOfOtherSettingsNameTheKeysAndTheWayOut() throws Exception {
    assertThat(changed("ingest", "ingest.min-side=20"))
        .singleElement()
        .asString()
        .contains("ingest.min-side was 16 and is now 20")
        .endsWith("Use those settings, or another dataset folder.");
    assertThat(changed("tokenizer", "tokenizer.vocab-size=700"))
        .singleElement()
        .asString()
        .contains("tokenizer.vocab-size was 600 and is now 700");
    Path other = finished.copy("llama", folder.resolve("llama"));
    Files.writeString(other.resolve("tokenizer_config.json"), "{\"x\": 1}");
    assertThat(changed("embed", "teacher.path=" + other, "teacher.dtype=bfloat16"))
        .singleElement()
        .asString()
        .contains("teacher.dtype was float32 and is now bfloat16; teacher.path (identity")
        .endsWith("Use those settings, or another teacher.name.");
    assertThat(changed("cluster", "concepts.iterations=4"))
        .singleElement()
        .asString()
        .contains("iterations was 3 and is now 4")
        .endsWith("or another concepts.name, or concepts.recluster = true, which makes them anew.");
    assertThat(changed("cluster", "concepts.iterations=4", "concepts.recluster=true")).isEmpty();
    for (String job : List.of("train", "run")) {
      assertThat(changed(job, "train.lr=0.01"))
          .singleElement()
          .asString()
          .contains("train.lr was 5.0E-5 and is now 0.01")
          .endsWith("Use the same settings, or another train.output.");
    }
    assertThat(changed("run", "ingest.min-side=20", "train.lr=0.01")).hasSizeGreaterThan(1);
  }

  @Test
  void aRunIsNotToHaveFewerStepsThanItHasDone() {
    for (String job : List.of("train", "run")) {
      assertThat(changed(job, "train.steps=1"))
          .singleElement()
          .asString()
          .startsWith("Cannot end the run at step 1 by train.steps or train.epochs because ");
      assertThat(changed(job, "train.steps=1000")).isEmpty();
    }
  }

  @Test
  void dataMustSufficeForTheSettings() {
    assertThat(changed("cluster", "concepts.name=more", "concepts.k=5000"))
        .singleElement()
        .asString()
        .matches(
            "Cannot make 5000 concepts of \\d+ training rows. Set concepts.k to at most that.");
    assertThat(fresh("train", "dataset=" + world.resolve("dataset"), "train.batch=5000"))
        .singleElement()
        .asString()
        .startsWith("Cannot train with batches of 5000 because the training split has only");
    assertThat(changed("run", "train.batch=5000", "train.output=" + folder.resolve("r")))
        .as("ingest may bring more")
        .isEmpty();
    assertThat(fresh("run", "ingest.validation-fraction=0"))
        .singleElement()
        .asString()
        .contains("because its validation split is empty");
    String sources =
        "ingest.sources=[{format=synthetic, pairs=40}, {format=synthetic, pairs=9, split=";
    assertThat(fresh("run", "ingest.validation-fraction=0", sources + "test}]")).isEmpty();
    assertThat(fresh("run", "ingest.validation-fraction=0", sources + "validation}]")).isEmpty();
    assertThat(fresh("run", "ingest.validation-fraction=0", sources + "train}]")).hasSize(1);
    assertThat(fresh("run", "evaluate.split=test", sources + "validation}]"))
        .singleElement()
        .asString()
        .contains("because its test split is empty. Ingest a source with split = test");
    assertThat(fresh("train", "dataset=" + world.resolve("dataset"), "concepts.name=none"))
        .singleElement()
        .asString()
        .contains("has no labels called none. Run `cluster`, or set train.loss.concept = 0.");
    assertThat(fresh("cluster", "dataset=" + world.resolve("dataset"), "teacher.name=none"))
        .singleElement()
        .asString()
        .contains("has no embeddings called none. Make them first, with the job embed.");
  }

  @Test
  void studentAndTokenizerMustFit() throws Exception {
    assertThat(fresh("run", "student.tokenizer=" + folder))
        .singleElement()
        .asString()
        .contains("because there is no tokenizer.json in its folder");
    String shape =
        file(
            "shape/config.json",
            "{\"model_type\": \"clip\", \"text_config\": {\"vocab_size\": 9}}");
    assertThat(fresh("run", "student.config=" + shape, "student.tokenizer=" + tokenizer()))
        .singleElement()
        .asString()
        .contains("because the tokenizer has")
        .contains("Set vocab_size in student.config");
    assertThat(fresh("run", "student.init=" + folder.resolve("shape")))
        .singleElement()
        .asString()
        .contains("neither model.safetensors nor")
        .contains("student.init = ");
    assertThat(fresh("run", "student.init=" + world.resolve("clip"), "student.config=unused"))
        .isEmpty();
    assertThat(fresh("run", "student.init=" + world.resolve("clip").toUri())).isEmpty();
    Path nearest = finished.copy("clip", folder.resolve("nearest"));
    Files.writeString(nearest.resolve("preprocessor_config.json"), "{\"resample\": 0}");
    for (String job : List.of("evaluate", "export")) {
      assertThat(changed(job, job + ".model=" + nearest))
          .singleElement()
          .asString()
          .contains(nearest + "/preprocessor_config.json has crop_size = (not set)");
    }
    assertThat(fresh("run", "student.init=" + nearest))
        .singleElement()
        .asString()
        .contains(nearest + "/preprocessor_config.json has crop_size = (not set)");
    String openClip = file("open/open_clip_config.json", "{\"model_cfg\": {}}");
    String foreign = Path.of(openClip).getParent().toString();
    for (List<String> found :
        List.of(
            fresh("run", "student.init=" + foreign),
            fresh("run", "student.config=" + foreign),
            changed("evaluate", "evaluate.model=" + foreign),
            changed("export", "export.model=" + foreign))) {
      assertThat(found)
          .singleElement()
          .asString()
          .contains("because it is a folder of open_clip (open_clip_config.json)");
    }
    assertThat(fresh("run", "student.config=" + file("other.json", "{\"model_type\": \"bert\"}")))
        .singleElement()
        .asString()
        .contains("because its model_type is not clip: \"bert\"");
  }

  @Test
  void modelsMustBeThere() throws Exception {
    assertThat(changed("evaluate", "evaluate.model=" + folder.resolve("gone")))
        .singleElement()
        .asString()
        .contains("because there is no such folder")
        .contains("evaluate.model");
    assertThat(changed("evaluate", "evaluate.model=" + folder))
        .singleElement()
        .asString()
        .startsWith("Cannot find a whole checkpoint in " + folder)
        .endsWith("The setting is evaluate.model = " + folder + ".");
    assertThat(changed("evaluate", "evaluate.model=" + world.resolve("clip"))).isEmpty();
    assertThat(changed("export", "export.model=" + world.resolve("clip"))).isEmpty();
    Path clip = finished.copy("clip", folder.resolve("clip"));
    Files.delete(clip.resolve("model.safetensors"));
    assertThat(changed("evaluate", "evaluate.model=" + clip))
        .singleElement()
        .asString()
        .contains("neither model.safetensors nor");
    assertThat(changed("export", "export.model=" + clip)).hasSize(1);
    file("target/letter.txt", "of a person");
    assertThat(changed("run", "export.path=" + folder.resolve("target")))
        .singleElement()
        .asString()
        .contains("because the folder holds something else: letter.txt");
    Files.createDirectories(folder.resolve("one/cat"));
    assertThat(
            changed(
                "run", "evaluate.zero-shot=[{name = a, path = \"" + folder.resolve("one") + "\"}]"))
        .singleElement()
        .asString()
        .contains("It needs one folder of images for each class, two at least.");
  }

  @Test
  void aDamagedCheckpointIsNamed() throws Exception {
    Path run = finished.copy("run", folder.resolve("run"));
    Path newest;
    try (var checkpoints = Files.list(run.resolve(CheckpointStore.FOLDER))) {
      newest = checkpoints.findFirst().orElseThrow();
    }
    Files.writeString(newest.resolve("state.json"), "{");
    assertThat(changed("train", "train.output=" + run))
        .singleElement()
        .asString()
        .contains("because state.json is damaged.");
  }

  @Test
  void outputsMustBeWritable() {
    String closed = CountingStore.url(folder.resolve("closed"));
    assertThat(folder.resolve("closed").toFile().mkdir()).isTrue();
    assertThat(fresh("run", "train.output=" + closed + "/a/b"))
        .singleElement()
        .asString()
        .startsWith("Cannot write to train.output = " + closed + "/a/b because this user (")
        .endsWith("Set train.output to another folder, or change the rights.");
    assertThat(folder.resolve("new")).doesNotExist();
  }

  @Test
  void theMachineMustFit() throws IOException {
    Settings settings = finished.settings("train.ranks=2");
    Configuration configuration = new Configuration();
    Machine small = new Machine(new SparkConf(false), true, 2, 1500, Optional.empty());
    assertThat(problems("embed", settings, configuration, small))
        .singleElement()
        .asString()
        .contains("with spark.executor.memory = 1024 MiB are more than the 1500 MiB");
    Machine local = machine("local[4]", false, null);
    assertThat(problems("run", settings, configuration, local))
        .singleElement()
        .asString()
        .startsWith("Cannot run 2 ranks with the master local[4] because");
    assertThat(problems("ingest", settings, configuration, local)).isEmpty();
    Machine chosen = machine("local-cluster[64,1,512]", false, null);
    assertThat(
            problems(
                "ingest",
                finished.settings("train.ranks=64", "train.batch=64"),
                configuration,
                chosen))
        .as("a master that the user gave")
        .isEmpty();
    for (Path file : List.of(folder, folder.resolve("no/result.json"))) {
      assertThat(problems("embed", settings, configuration, machine("local[1]", false, file)))
          .singleElement()
          .asString()
          .startsWith("Cannot write the result to --result " + file + " because ");
    }
    Path result = folder.resolve("result.json");
    assertThat(problems("embed", settings, configuration, machine("local[1]", false, result)))
        .isEmpty();
    assertThat(result).doesNotExist();
  }

  private static Machine machine(String master, boolean embedded, Path result) {
    return new Machine(
        new SparkConf(false).setMaster(master), embedded, 2, 8192, Optional.ofNullable(result));
  }

  @Test
  void aFileSystemThatIsNotThereIsNamed() {
    assertThat(fresh("run", "train.output=ftps://host/run"))
        .singleElement()
        .asString()
        .startsWith(
            "Cannot use the path ftps://host/run because no file system on the class path has its scheme.");
    Configuration configuration = new Configuration();
    configuration.set("fs.s3a.impl", "org.apache.hadoop.fs.s3a.NotOnTheClassPath");
    assertThat(
            problems(
                "export", finished.settings("export.path=s3a://b/clip"), configuration, MACHINE))
        .singleElement()
        .asString()
        .startsWith(
            "Cannot use the path s3a://b/clip because its file system is not on the class path:")
        .contains("KKLIP_S3=true");
  }

  private static List<String> warnings(String job, String... settings) {
    return Checks.of(job, finished.settings(settings), new Configuration(), MACHINE).warnings();
  }

  @Test
  void whoHoldsAFolderThatTheJobWritesToIsToldAsAWarning() throws IOException {
    Path clip = folder.resolve("clip");
    Map<String, Path> folders =
        Map.of(
            "ingest", world.resolve("dataset"),
            "tokenizer", world.resolve("dataset/tokenizer"),
            "embed", world.resolve("dataset/teachers/llama"),
            "cluster", world.resolve("dataset/concepts/concepts"),
            "train", world.resolve("run"),
            "export", clip);
    for (Map.Entry<String, Path> one : folders.entrySet()) {
      String job = one.getKey();
      try (Lease lease =
          Lease.acquire(
              new Configuration(),
              new org.apache.hadoop.fs.Path(one.getValue().toUri()),
              "sweep",
              Duration.ofMinutes(1))) {
        assertThat(warnings(job, "export.path=" + clip))
            .as(job)
            .singleElement()
            .asString()
            .matches(
                "\\QThe folder file:"
                    + one.getValue()
                    + " is being written to by the job sweep on \\E.+\\Q (process "
                    + ProcessHandle.current().pid()
                    + ", started 20\\E.+\\Q). A stage that writes to it is refused meanwhile. Wait for the end of that job, or stop it; if it died, its lease expires by itself.\\E");
        assertThat(warnings("run", "export.path=" + clip)).as("run: " + job).hasSize(1);
        assertThat(changed(job, "export.path=" + clip)).as(job).isEmpty();
        // Who works on a part is told also of who may change the pairs; others are nobody's matter.
        boolean parts = List.of("tokenizer", "embed", "cluster", "train").contains(job);
        assertThat(warnings("evaluate"))
            .as("evaluate: " + job)
            .hasSize(parts || job.equals("export") ? 0 : 1);
        lease.check();
      }
      assertThat(warnings("run", "export.path=" + clip)).isEmpty();
    }
  }

  @Test
  void theLeaseOfAProcessThatDiedIsNoWarning() throws Exception {
    Process gone = new ProcessBuilder("true").start();
    assertThat(gone.waitFor()).isZero();
    String token = UUID.randomUUID().toString();
    Path leases = Files.createDirectories(folder.resolve("new/run/" + Lease.FOLDER));
    String claim =
        """
        {"token": "TOKEN", "job": "train", "host": "h", "processes": "PROCESSES", "pid": %s,
         "since": "then", "expiry": 60000, "heartbeat": 3, "uptime": -1, "takes": []}
        """
            .replace("TOKEN", token)
            .replace("PROCESSES", LeaseHost.THIS.processes());
    Path file = leases.resolve(token + ".3.json");
    String output = "train.output=" + folder.resolve("new/run");
    Files.writeString(file, claim.formatted(gone.pid()));
    assertThat(warnings("train", output)).isEmpty();
    Files.writeString(file, claim.formatted(ProcessHandle.current().pid()));
    assertThat(warnings("train", output))
        .singleElement()
        .asString()
        .contains("the job train on h (");
  }

  @Test
  void aStorageThatDoesNotAnswerIsAskedOnce() {
    String silent = CountingStore.url(folder.resolve("silent"));
    Settings settings =
        finished.settings("train.output=" + silent + "/run", "evaluate.report=" + silent);
    CountingStore.REQUESTS.clear();
    assertThat(
            Checks.of(
                    "run", settings, CountingStore.configuration(), MACHINE, Duration.ofMillis(500))
                .problems())
        .containsExactly(
            "Cannot check train.output = "
                + silent
                + "/run because its storage did not answer within 0.5 seconds. Check the network, and the settings of the file system, such as its endpoint.");
    assertThat(CountingStore.REQUESTS).hasSize(1);
  }
}
