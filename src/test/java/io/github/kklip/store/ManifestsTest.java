package io.github.kklip.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.publication.ConditionalCreate;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Changes of one dataset by several writers at once. */
class ManifestsTest {
  private static final ProcessingSettings SETTINGS = new ProcessingSettings(new TreeMap<>());
  private static final DatasetManifest EMPTY = DatasetManifest.empty(SETTINGS);

  @TempDir private Path folder;

  private DatasetFolder dataset() {
    return new DatasetFolder(folder.toString(), new Configuration());
  }

  private static DatasetManifest.Generation generation(int name) {
    return TestDataset.generation(
        List.of(new Shard(Split.TRAIN, name, 1, "id" + name, "pairs/1/" + name + ".parquet", "")));
  }

  @Test
  void writersThatMergeAllSucceedAndEachCommitHasANumberOfItsOwn() throws Exception {
    race(
        8,
        writer -> {
          for (int i = 0; i < 5; i++) {
            int name = 100 * writer + i;
            Manifests.commit(dataset(), EMPTY, newest -> newest.with(generation(name)));
          }
          return true;
        });
    DatasetManifest last = dataset().requireManifest();
    assertThat(last.number()).isEqualTo(40);
    assertThat(last.generations()).hasSize(40).doesNotHaveDuplicates();
    for (long number = 1; number <= 40; number++) {
      assertThat(
              ManifestFiles.read(dataset().configuration(), dataset().root(), number).generations())
          .hasSize((int) number);
    }
    try (Stream<Path> files = Files.list(folder.resolve("_manifests"))) {
      assertThat(files).hasSize(40);
    }
  }

  @Test
  void ofWritersThatBeganWithTheSameManifestOneSucceeds() throws Exception {
    List<Boolean> ended =
        race(
            8,
            writer -> {
              try {
                Manifests.commit(
                    dataset(),
                    EMPTY,
                    newest -> {
                      if (newest.number() != 0) {
                        throw new ConflictException(
                            dataset().root(), "the new pairs", "another job has added some");
                      }
                      return newest.with(generation(writer));
                    });
                return true;
              } catch (ConflictException e) {
                assertThat(e)
                    .hasMessage(
                        "Cannot add the new pairs to the dataset file:"
                            + folder
                            + " because another job has added some while this job worked. Run the"
                            + " job again.");
                return false;
              }
            });
    assertThat(ended).containsOnlyOnce(true);
    assertThat(dataset().requireManifest().generations()).hasSize(1);
  }

  private interface Writer {
    boolean run(int writer) throws Exception;
  }

  private static List<Boolean> race(int writers, Writer writer) throws Exception {
    ExecutorService threads = Executors.newFixedThreadPool(writers);
    CyclicBarrier start = new CyclicBarrier(writers);
    try {
      List<Future<Boolean>> running = new ArrayList<>();
      for (int i = 0; i < writers; i++) {
        int number = i;
        Callable<Boolean> task =
            () -> {
              start.await(1, TimeUnit.MINUTES);
              return writer.run(number);
            };
        running.add(threads.submit(task));
      }
      List<Boolean> ended = new ArrayList<>();
      for (Future<Boolean> one : running) {
        ended.add(one.get(2, TimeUnit.MINUTES));
      }
      return ended;
    } finally {
      threads.shutdownNow();
    }
  }

  @Test
  void aChangeThatChangesNothingMakesNoCommit() throws IOException {
    Manifests.commit(dataset(), EMPTY, newest -> newest.with(generation(1)));
    Manifests.commit(dataset(), EMPTY, newest -> newest);
    assertThat(dataset().requireManifest().number()).isEqualTo(1);
  }

  @Test
  void aFileIsCreatedWholeOrNotAtAll() throws Exception {
    org.apache.hadoop.fs.Path file = new org.apache.hadoop.fs.Path(folder + "/sub/file");
    Configuration configuration = new Configuration();
    AtomicInteger first = new AtomicInteger();
    race(
        8,
        writer -> {
          for (int i = 0; i < 50; i++) {
            byte[] bytes = new byte[10_000];
            java.util.Arrays.fill(bytes, (byte) writer);
            if (ConditionalCreate.create(configuration, file.suffix(Integer.toString(i)), bytes)) {
              first.incrementAndGet();
            }
            byte[] there = Files.readAllBytes(folder.resolve("sub/file" + i));
            assertThat(there).hasSize(10_000).containsOnly(there[0]);
          }
          return true;
        });
    assertThat(first.get()).isEqualTo(50);
    try (Stream<Path> files = Files.list(folder.resolve("sub"))) {
      assertThat(files).hasSize(50);
    }
  }

  @Test
  void aNameThatLeadsOutOfTheDatasetIsRefused() {
    for (String name :
        List.of(
            "",
            "/etc/passwd",
            "../x",
            "a/../../x",
            "a/./x",
            "..",
            "a//x",
            "a\\x",
            "s3a://b/x",
            ".hidden",
            "a/\u0000",
            "a/..",
            "a/")) {
      assertThatThrownBy(() -> dataset().file(name))
          .as(name)
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageStartingWith("Cannot use the file " + name);
    }
    assertThat(dataset().file("pairs/1/train-00000.parquet").toString())
        .isEqualTo("file:" + folder + "/pairs/1/train-00000.parquet");
    assertThat(dataset().inside(dataset().file("a b/c%20d#e/ü"))).isEqualTo("a b/c%20d#e/ü");
  }
}
