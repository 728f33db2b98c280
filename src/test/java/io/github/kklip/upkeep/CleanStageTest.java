package io.github.kklip.upkeep;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.comms.SoloCollective;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.Shard;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.LeaseHeldException;
import io.github.kklip.train.TinyDataset;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CleanStageTest {
  private static final String DIGEST = "0123456789abcdef0123456789abcdef";

  /** One of each kind, none of them named. */
  private static final List<String> ORPHANS =
      List.of(
          ".card.html.11f9.unfinished",
          "_leases/claim",
          "_manifests/.link.17.unfinished",
          "_work/" + DIGEST + "/part-0.json",
          "_work/" + DIGEST + "/suspects/x",
          "concepts/concepts/" + DIGEST + "/train-00000-" + DIGEST + ".parquet",
          "concepts/concepts/centroids-" + DIGEST + ".safetensors",
          "concepts/concepts/clustering-" + DIGEST + "-" + DIGEST + ".json",
          "concepts/concepts/concepts-" + DIGEST + ".html",
          "concepts/concepts/quality-" + DIGEST + ".json",
          "pairs/1/train-00000-" + DIGEST + ".parquet",
          "pairs/2/validation-00001-" + DIGEST + ".parquet",
          "pairs/train-00007.parquet",
          "rejects/00000-train-00000-" + DIGEST + ".parquet",
          "removed/ids-" + DIGEST + ".txt",
          "sources/seen-" + DIGEST + ".txt",
          "teachers/llama/" + DIGEST + "/.train-00000.parquet.2.unfinished",
          "teachers/llama/" + DIGEST + "/train-00000-" + DIGEST + ".parquet",
          "tokenizer/" + DIGEST + "/merges.txt");

  private static final List<String> FOREIGN =
      List.of(
          "notes.txt",
          "pairs/1/mine.parquet",
          "pairs/deep/er/train-00000-" + DIGEST + ".parquet",
          "student.json",
          "teachers/llama/readme.md",
          "tokenizer/" + DIGEST + "/other.bin");

  @TempDir Path temporary;
  private TinyDataset data;
  private Path root;

  @BeforeEach
  void open() throws IOException {
    data = TinyDataset.whole(temporary.resolve("data"), -1, 40, 30);
    root = temporary.resolve("data");
  }

  private CleanResult clean(boolean yes, String... more) throws IOException {
    return CleanStage.run(
        Settings.load(
            List.of(), Stream.concat(Stream.of("dataset=" + root), Arrays.stream(more)).toList()),
        new Configuration(false),
        new CleanStage.Request(yes, Optional.empty(), false));
  }

  private CleanResult forget(String run) throws IOException {
    return CleanStage.run(
        Settings.load(List.of(), List.of("dataset=" + root)),
        new Configuration(false),
        new CleanStage.Request(false, Optional.of(run), false));
  }

  private void make(List<String> files) throws IOException {
    for (String file : files) {
      Files.createDirectories(root.resolve(file).getParent());
      Files.writeString(root.resolve(file), "12345");
    }
  }

  private void age(int days) throws IOException {
    age(Duration.ofDays(days), all());
  }

  private void age(Duration age, List<String> files) throws IOException {
    for (String file : files) {
      Files.setLastModifiedTime(root.resolve(file), FileTime.from(Instant.now().minus(age)));
    }
  }

  private List<String> all() throws IOException {
    try (Stream<Path> files = Files.walk(root)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> root.relativize(file).toString())
          .sorted()
          .toList();
    }
  }

  private static List<String> listed(CleanResult result, String word) {
    return result.lines().stream()
        .filter(line -> line.startsWith(word + " "))
        .map(line -> line.substring(line.lastIndexOf(' ') + 1))
        .sorted()
        .toList();
  }

  private List<String> filesOfFirstShard() throws IOException {
    DatasetManifest manifest = data.dataset().requireManifest();
    Shard first = data.shards().get(0);
    return List.of(
        manifest.concepts().get("concepts").files().get(first.identity()),
        first.file(),
        manifest.teachers().get("llama").files().get(first.identity()));
  }

  @Test
  void whatTheManifestNamesStaysHoweverOldItIs() throws IOException {
    age(300);
    for (String file : all()) {
      if (file.startsWith("_manifests/")) {
        Files.setLastModifiedTime(root.resolve(file), FileTime.from(Instant.now()));
      }
    }
    List<String> before = all();
    CleanResult result = clean(true);
    assertThat(result.orphans()).isZero();
    assertThat(all()).isEqualTo(before);
  }

  @Test
  void orphansAreListedAndDeletedOnlyWhenTold() throws IOException {
    List<String> own = all();
    make(ORPHANS);
    make(List.of("notes.txt", "pairs/1/mine.parquet", "teachers/llama/readme.md"));
    make(
        List.of(
            "pairs/deep/er/train-00000-" + DIGEST + ".parquet",
            "tokenizer/" + DIGEST + "/other.bin"));
    List<String> before = all();
    CleanResult young = clean(true);
    assertThat(young.orphans()).isZero();
    // A young lease is one that is held.
    assertThat(young.young()).isEqualTo(ORPHANS.size() - 1);
    assertThat(young.youngBytes()).isEqualTo(5L * (ORPHANS.size() - 1));
    assertThat(all()).isEqualTo(before);

    for (String file : before) {
      if (!file.startsWith("_manifests/0")) {
        Files.setLastModifiedTime(
            root.resolve(file), FileTime.from(Instant.now().minus(Duration.ofDays(8))));
      }
    }
    CleanResult listed = clean(false);
    assertThat(all()).isEqualTo(before);
    assertThat(listed(listed, "orphan")).isEqualTo(ORPHANS);
    assertThat(listed(listed, "foreign")).isEqualTo(FOREIGN);
    assertThat(listed.lines()).anyMatch(line -> line.startsWith("orphan 8.0 days 5 bytes "));
    assertThat(listed.deleted()).isZero();

    CleanResult deleted = clean(true);
    assertThat(deleted.deleted()).isEqualTo(ORPHANS.size());
    assertThat(deleted.deletedBytes()).isEqualTo(5L * ORPHANS.size());
    assertThat(deleted.foreign()).isEqualTo(FOREIGN.size());
    assertThat(deleted.kinds()).containsEntry("pairs", 3L).containsEntry("temporary", 3L);
    List<String> left = new ArrayList<>(own);
    FOREIGN.stream().filter(file -> !left.contains(file)).forEach(left::add);
    left.sort(null);
    assertThat(all()).isEqualTo(left);
    assertThat(root.resolve("pairs/2")).doesNotExist();
    assertThat(root.resolve("_work")).doesNotExist();
  }

  @Test
  void oldManifestsGoSevenDaysAfterTheyWereReplaced() throws IOException {
    List<String> first = filesOfFirstShard();
    data.leaveSecondShard();
    age(6);
    assertThat(clean(true).orphans()).isZero();
    age(8);
    assertThat(clean(true, "clean.older-than=9 days").orphans()).isZero();
    CleanResult result = clean(true);
    assertThat(listed(result, "deleted"))
        .containsAll(first)
        .contains("_manifests/000000001.json", "_manifests/000000004.json")
        .doesNotContain("_manifests/000000005.json")
        .hasSize(7);
    assertThat(data.dataset().requireManifest().number()).isEqualTo(5);
    assertThat(clean(true).orphans()).isZero();
  }

  /** Their own age says nothing: a reader may have begun just before they were replaced. */
  @Test
  void replacedFilesStayForSevenDaysHoweverOldTheyAre() throws IOException {
    List<String> replaced = filesOfFirstShard();
    data.leaveSecondShard();
    age(300);
    age(Duration.ofHours(7 * 24 - 1), List.of("_manifests/000000005.json"));
    assertThat(listed(clean(true), "deleted"))
        .contains("_manifests/000000003.json")
        .doesNotContain("_manifests/000000004.json")
        .doesNotContainAnyElementsOf(replaced);
    age(Duration.ofHours(7 * 24 + 1), List.of("_manifests/000000005.json"));
    assertThat(listed(clean(true), "deleted"))
        .contains("_manifests/000000004.json")
        .containsAll(replaced);
  }

  @Test
  void orphansAreSparedForSevenDays() throws IOException {
    make(ORPHANS);
    age(Duration.ofHours(7 * 24 - 1), ORPHANS);
    CleanResult young = clean(true);
    assertThat(young.orphans()).isZero();
    assertThat(young.young()).isEqualTo(ORPHANS.size() - 1);
    age(Duration.ofHours(7 * 24 + 1), ORPHANS);
    assertThat(listed(clean(true), "deleted")).isEqualTo(ORPHANS);
  }

  @Test
  void filesOfRegisteredRunsStayUntilTheyAreForgotten() throws IOException {
    List<String> first = filesOfFirstShard();
    TinyDataset.train(
        data.plan(temporary.resolve("run"), "train.steps=9"), new SoloCollective(), () -> true);
    data.leaveSecondShard();
    age(30);
    CleanResult kept = clean(true);
    assertThat(kept.runs()).isEqualTo(1);
    assertThat(listed(kept, "deleted")).doesNotContainAnyElementsOf(first);
    assertThat(
            TinyDataset.train(
                    data.plan(temporary.resolve("run"), "train.steps=9"),
                    new SoloCollective(),
                    () -> false)
                .complete())
        .isTrue();

    // The checkpoints alone keep them, too.
    String name = RegisteredRun.names(data.dataset()).get(0);
    Files.delete(root.resolve("_runs/" + name + ".json"));
    new RegisteredRun("file:" + temporary.resolve("run"), 5).register(data.dataset());
    age(30);
    assertThat(listed(clean(true), "deleted"))
        .doesNotContainAnyElementsOf(first)
        .contains("_manifests/000000004.json");

    assertThatThrownBy(() -> forget("/nowhere"))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot forget the run /nowhere because it is not registered in ")
        .hasMessageEndingWith("Those that are: file:" + temporary.resolve("run") + ".");
    assertThat(listed(forget(temporary.resolve("run").toString()), "orphan")).containsAll(first);
    assertThat(RegisteredRun.list(data.dataset())).isEmpty();
  }

  @Test
  void pagesOfAClusteringStayWithIt() throws IOException {
    String made = data.dataset().requireManifest().concepts().get("concepts").made();
    List<String> pages =
        List.of(
            "concepts/concepts/concepts-" + made + ".html",
            "concepts/concepts/quality-" + made + ".json");
    make(pages);
    age(30);
    CleanResult result = clean(true);
    assertThat(listed(result, "deleted")).doesNotContainAnyElementsOf(pages);
    assertThat(listed(result, "foreign")).doesNotContainAnyElementsOf(pages);
    assertThat(all()).containsAll(pages);
  }

  /** A run that began with the manifests of an earlier version, and has no checkpoint yet. */
  @Test
  void filesOfFormat1StayForTheRunThatBeganWithThem() throws IOException {
    Path kept = Path.of("src/test/resources/format1");
    root = temporary.resolve("format1");
    try (Stream<Path> files = Files.walk(kept)) {
      for (Path file : files.filter(Files::isRegularFile).toList()) {
        Path to = root.resolve(kept.relativize(file).toString());
        Files.createDirectories(to.getParent());
        Files.copy(file, to);
      }
    }
    DatasetFolder dataset = new DatasetFolder(root.toString(), new Configuration(false));
    DatasetManifest first = dataset.requireManifest();
    Path run = Files.createDirectories(temporary.resolve("run"));
    new RegisteredRun("file:" + run, first.number()).register(dataset);
    TestDataset.commit(dataset, "other", first.teachers().get("llama"));
    assertThat(dataset.requireManifest().number()).isEqualTo(1);
    age(30);
    List<String> before = all();
    assertThat(clean(true).orphans()).isZero();
    assertThat(all()).isEqualTo(before);
    assertThat(listed(forget(run.toString()), "orphan")).contains("manifest.json");
  }

  @Test
  void aRunThatCannotBeReadRefusesUntilItIsForgotten() throws IOException {
    new RegisteredRun("file:" + temporary.resolve("gone"), 4).register(data.dataset());
    assertThatThrownBy(() -> clean(true))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot tell which files of the dataset file:" + root)
        .hasMessageContaining("because the registered run file:" + temporary.resolve("gone") + " (")
        .hasMessageContaining("cannot be read: there is no file:" + temporary.resolve("gone"))
        .hasMessageEndingWith("--forget file:" + temporary.resolve("gone") + ".");
    forget("file:" + temporary.resolve("gone"));
    assertThat(clean(true).runs()).isZero();

    make(List.of("_runs/" + DIGEST + ".json"));
    assertThatThrownBy(() -> clean(true))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("_runs/" + DIGEST + ".json")
        .hasMessageContaining("--forget NAME");
    forget(DIGEST);
    assertThat(clean(true).runs()).isZero();

    Path checkpoint = temporary.resolve("run/checkpoints/step-000000003.01234567");
    Files.createDirectories(checkpoint);
    Files.writeString(checkpoint.resolve("checkpoint.json"), "{}");
    Files.writeString(checkpoint.resolve("state.json"), "{");
    new RegisteredRun("file:" + temporary.resolve("run"), 4).register(data.dataset());
    assertThatThrownBy(() -> clean(true))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("because the registered run file:" + temporary.resolve("run"))
        .hasMessageContaining("state.json");
  }

  @Test
  void aRunThatMayGoOnWithFilesOfAManifestThatIsGoneRefuses() throws IOException {
    Path run = Files.createDirectories(temporary.resolve("run"));
    new RegisteredRun("file:" + run, 99).register(data.dataset());
    assertThatThrownBy(() -> clean(true))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("because the registered run file:" + run + " (")
        .hasMessageContaining(
            "it has no checkpoint, and the manifest 99 that it began with is gone");
  }

  /** It may name what an older listing took for an orphan. */
  @Test
  void aCommitWhileItLooksKeepsItFromDeleting() throws IOException {
    data.leaveSecondShard();
    age(30);
    List<String> before = all();
    assertThatThrownBy(
            () ->
                CleanStage.run(
                    Settings.load(List.of(), List.of("dataset=" + root)),
                    new Configuration(false),
                    new CleanStage.Request(true, Optional.empty(), false),
                    () -> {
                      try {
                        DatasetManifest newest = data.dataset().requireManifest();
                        TestDataset.commit(data.dataset(), "other", newest.teachers().get("llama"));
                      } catch (IOException e) {
                        throw new UncheckedIOException(e);
                      }
                    }))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(
            "because another job has changed it while this one looked: it is at commit 6 instead of 5.");
    assertThat(all()).containsAll(before);
  }

  /** One that is cut short must not leave a manifest whose files are gone. */
  @Test
  void oldManifestsGoBeforeWhatTheyName() throws IOException {
    List<String> first = filesOfFirstShard();
    data.leaveSecondShard();
    age(30);
    List<String> lines = clean(true).lines();
    int last = 0;
    int firstNamed = lines.size();
    for (int i = 0; i < lines.size(); i++) {
      String file = lines.get(i).substring(lines.get(i).lastIndexOf(' ') + 1);
      last = file.startsWith("_manifests/") ? i : last;
      firstNamed = first.contains(file) ? Math.min(firstNamed, i) : firstNamed;
    }
    assertThat(last).isPositive().isLessThan(firstNamed);
    assertThat(firstNamed).isLessThan(lines.size());
  }

  @Test
  void whatAJobAtWorkNeedsStays() throws IOException {
    Map<String, String> unnamed =
        Map.of(
            "teachers/llama", DIGEST + "/train-00000-" + DIGEST + ".parquet",
            "concepts/concepts", "centroids-" + DIGEST + ".safetensors",
            "tokenizer", DIGEST + "/merges.txt");
    List<String> files =
        unnamed.entrySet().stream()
            .map(entry -> entry.getKey() + "/" + entry.getValue())
            .sorted()
            .toList();
    make(files);
    age(30);
    DatasetFolder dataset = data.dataset();
    for (String part : unnamed.keySet()) {
      String file = part + "/" + unnamed.get(part);
      try (Lease embed =
          Lease.acquire(
              dataset.configuration(),
              new org.apache.hadoop.fs.Path(dataset.root(), part),
              "job",
              Duration.ofMinutes(1))) {
        CleanResult result = clean(true);
        assertThat(listed(result, "deleted")).doesNotContain(file);
        assertThat(result.inUse()).isGreaterThanOrEqualTo(1);
        assertThat(root.resolve(file)).exists();
        embed.check();
      }
      make(files);
      age(30);
    }
    try (Lease ingest =
        Lease.acquire(dataset.configuration(), dataset.root(), "ingest", Duration.ofMinutes(1))) {
      assertThatThrownBy(() -> clean(true)).isInstanceOf(LeaseHeldException.class);
      ingest.check();
    }
    assertThat(listed(clean(true), "deleted")).containsAll(files);
  }

  @Test
  void theTimeThatFilesAreSparedHasALowerBound() {
    assertThatThrownBy(() -> clean(false, "clean.older-than=23 hours"))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("clean.older-than = PT23H")
        .hasMessageContaining("1 day or longer");
  }
}
