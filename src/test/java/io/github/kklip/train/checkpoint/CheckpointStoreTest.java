package io.github.kklip.train.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.Json;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.DerivedFiles;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.regex.Matcher;
import java.util.stream.Stream;
import org.apache.commons.io.FileUtils;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocalFileSystem;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.Syncable;
import org.apache.hadoop.fs.permission.FsPermission;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

public class CheckpointStoreTest {
  @TempDir Path output;
  private CheckpointStore store;

  @BeforeEach
  void open() throws IOException {
    store = begun(new Configuration(false));
  }

  private CheckpointStore begun(Configuration configuration) throws IOException {
    CheckpointStore begun = new CheckpointStore(output.toString(), configuration);
    begun.begin(() -> {});
    return begun;
  }

  private static TrainState state(long step) {
    return new TrainState(
        TrainState.FORMAT,
        step,
        step - 1,
        1,
        1,
        false,
        new StepReport(
            step, 20, 0.5, 1.25, new TreeMap<>(Map.of("emb", 1.25)), 2.6, 1e-3, 3, 1, 99.5, 0.01),
        new TreeMap<>(Map.of("seed", "7", "train.lr", "0.001")),
        new TreeMap<>(Map.of("ranks", "2")),
        List.of(new Shard(Split.TRAIN, 0, 2048, "ab"), new Shard(Split.TRAIN, 4, 17, "cd")),
        new DerivedFiles(
            new TreeMap<>(Map.of("ab", "teachers/t/ab.parquet")), new TreeMap<>(), ""));
  }

  private String write(long step, int keep) throws IOException {
    return write(step, keep, () -> {});
  }

  private String write(long step, int keep, Runnable guard) throws IOException {
    return write(store, step, keep, guard);
  }

  private static String write(CheckpointStore store, long step, int keep, Runnable guard)
      throws IOException {
    Map<String, CheckpointStore.Content> files = new LinkedHashMap<>();
    files.put(
        Checkpoint.MODEL, out -> out.write(("weights " + step).getBytes(StandardCharsets.UTF_8)));
    files.put(Checkpoint.OPTIMIZER, out -> out.write(new byte[100]));
    byte[] json = Json.pretty(state(step));
    files.put(Checkpoint.STATE, out -> out.write(json));
    return store.write(step, files, keep, guard);
  }

  private static Path local(String location) {
    return Path.of(URI.create(location));
  }

  private long newestStep() throws IOException {
    try (Checkpoint checkpoint = store.newest(true).orElseThrow()) {
      return checkpoint.state().step();
    }
  }

  @Test
  void theNewestIsFoundWithItsStateAndFiles() throws IOException {
    assertThat(store.newest(true)).isEmpty();
    write(5, 3);
    write(1_000_000_000_000L, 3);
    write(10, 3);
    try (Checkpoint checkpoint = store.newest(true).orElseThrow()) {
      assertThat(checkpoint.state()).isEqualTo(state(1_000_000_000_000L));
      assertThat(checkpoint.folder().resolve(Checkpoint.MODEL)).hasContent("weights 1000000000000");
    }
    try (Stream<Path> files = Files.walk(output)) {
      assertThat(files.filter(f -> f.getFileName().toString().endsWith(".crc"))).isEmpty();
    }
  }

  @Test
  void theOldestGoAndTornOnesBelowThemToo() throws IOException {
    Path torn = local(write(1, 2));
    Files.delete(torn.resolve(CheckpointStore.MARKER));
    write(2, 2);
    write(3, 2);
    write(4, 2);
    try (Stream<Path> left = Files.list(output.resolve("checkpoints"))) {
      assertThat(left.map(p -> p.getFileName().toString().substring(0, 14)).sorted())
          .containsExactly("step-000000003", "step-000000004");
    }
  }

  @Test
  void aTornCheckpointIsSkippedForTheOlderOne() throws IOException {
    write(1, 9);
    Path noMarker = local(write(2, 9));
    Files.delete(noMarker.resolve(CheckpointStore.MARKER));
    Path cut = local(write(3, 9));
    Files.write(cut.resolve(Checkpoint.OPTIMIZER), new byte[99]);
    Path flipped = local(write(4, 9));
    Files.writeString(flipped.resolve(Checkpoint.MODEL), "weightz 4");
    Path missing = local(write(5, 9));
    Files.delete(missing.resolve(Checkpoint.STATE));
    Path noJson = local(write(6, 9));
    Files.writeString(noJson.resolve(CheckpointStore.MARKER), "{");
    assertThat(newestStep()).isEqualTo(1);

    assertThatThrownBy(() -> CheckpointStore.newest(flipped.toString(), new Configuration(false)))
        .hasMessage(
            "Cannot use the checkpoint file:"
                + flipped
                + " because the hash of model.safetensors differs.");
  }

  /** A file system that is not this machine's, so that checkpoints are fetched. */
  public static final class Elsewhere extends RawLocalFileSystem {
    @Override
    public URI getUri() {
      return URI.create("elsewhere://b");
    }
  }

  @Test
  void aMarkerThatNamesOtherFilesIsTornAndNoneOfThemIsWritten() throws IOException {
    Configuration configuration = new Configuration(false);
    configuration.setClass("fs.elsewhere.impl", Elsewhere.class, RawLocalFileSystem.class);
    Path folder = local(write(1, 9));
    Path marker = folder.resolve(CheckpointStore.MARKER);
    String good = Files.readString(marker);
    Path outside = Files.writeString(output.resolve("outside"), "a stranger's");
    String sibling = "kklip-test-" + UUID.randomUUID();
    Files.writeString(folder.resolveSibling(sibling), "up");
    Files.writeString(folder.resolve("notes.txt"), "beside");
    for (String name : List.of(outside.toString(), "../" + sibling, "notes.txt", ".", "")) {
      Files.writeString(
          marker,
          good.replaceFirst(
              "\\{\\s*\"model",
              Matcher.quoteReplacement(
                  "{\"" + name + "\":{\"bytes\":2,\"sha256\":\"00\"},\"model")));
      for (String scheme : List.of("file:", "elsewhere://b")) {
        assertThatThrownBy(() -> CheckpointStore.newest(scheme + folder, configuration))
            .hasMessage(
                "Cannot use the checkpoint "
                    + scheme
                    + folder
                    + " because checkpoint.json lists "
                    + name
                    + ", which no checkpoint has.");
      }
    }
    assertThat(outside).hasContent("a stranger's");
    assertThat(Path.of(System.getProperty("java.io.tmpdir"), sibling)).doesNotExist();

    Files.writeString(marker, good);
    try (Checkpoint fetched = CheckpointStore.newest("elsewhere://b" + folder, configuration)) {
      assertThat(fetched.folder()).isNotEqualTo(folder);
      assertThat(fetched.state()).isEqualTo(state(1));
    }
  }

  @Test
  void aMarkerThatDoesNotSayWhatThereMustBeIsTorn() throws IOException {
    Path folder = local(write(1, 9));
    Path marker = folder.resolve(CheckpointStore.MARKER);
    String good = Files.readString(marker);
    String model = "\"bytes\": " + Files.size(folder.resolve(Checkpoint.MODEL));
    assertThat(good).contains(model);
    Map<String, String> reasons =
        Map.of(
            "null",
            "checkpoint.json is damaged",
            "{\"files\": null}",
            "checkpoint.json lists no files",
            "{\"files\": {}}",
            "checkpoint.json does not list model.safetensors",
            "{\"files\": {\"model.safetensors\": null}}",
            "checkpoint.json gives no size and hash of model.safetensors",
            good.replace(model, "\"bytes\": -1"),
            "checkpoint.json gives no size and hash of model.safetensors",
            good.replace(model, "\"bytes\": 3"),
            "model.safetensors has more than the 3 bytes that are listed",
            good.replace(model, "\"bytes\": 300"),
            "model.safetensors has 9 bytes instead of 300",
            good.replace("\"state.json\"", "\"config.json\""),
            "checkpoint.json does not list state.json");
    for (Map.Entry<String, String> reason : reasons.entrySet()) {
      Files.writeString(marker, reason.getKey());
      assertThatThrownBy(() -> CheckpointStore.newest(folder.toString(), new Configuration(false)))
          .isInstanceOf(IOException.class)
          .hasMessage(
              "Cannot use the checkpoint file:" + folder + " because " + reason.getValue() + ".");
    }
  }

  @Test
  void readersOfTheModelNeedNoOptimizer() throws IOException {
    Path folder = local(write(3, 9));
    Files.delete(folder.resolve(Checkpoint.OPTIMIZER));
    Configuration configuration = new Configuration(false);
    assertThat(store.newest(true)).isEmpty();
    try (Checkpoint byRun = CheckpointStore.newest(output.toString(), configuration);
        Checkpoint itself = CheckpointStore.newest(folder.toString(), configuration)) {
      assertThat(byRun.folder()).isEqualTo(itself.folder()).isEqualTo(folder);
    }
    assertThatThrownBy(
            () -> CheckpointStore.newest(output.resolve("nothing").toString(), configuration))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot find a whole checkpoint in "
                + output.resolve("nothing")
                + ". Give the train.output of a run that has written one.");
  }

  @Test
  void aWriteThatFailsLeavesNoCheckpoint() throws IOException {
    write(1, 1);
    assertThatThrownBy(
            () ->
                store.write(
                    2,
                    Map.of(
                        Checkpoint.MODEL,
                        out -> {
                          out.write(1);
                          throw new IOException("disk full");
                        }),
                    1,
                    () -> {}))
        .hasMessage("disk full");
    assertThat(newestStep()).isEqualTo(1);
  }

  /** A disk that is full, as Hadoop's local streams tell it: by an Error. */
  public static final class FullDisk extends LocalFileSystem {
    public static volatile boolean full;

    public FullDisk() {
      super(new FillingDisk());
    }

    private static final class FillingDisk extends RawLocalFileSystem {
      @Override
      protected OutputStream createOutputStreamWithMode(
          org.apache.hadoop.fs.Path path, boolean append, FsPermission permission)
          throws IOException {
        boolean fits = !full || !path.getName().equals(Checkpoint.OPTIMIZER);
        return super.createOutputStreamWithMode(
            fits ? path : new org.apache.hadoop.fs.Path("/dev/full"), append, null);
      }
    }
  }

  /** With another kind of local disk. */
  public static Configuration disk(Class<? extends FileSystem> kind) {
    Configuration configuration = new Configuration(false);
    configuration.setClass("fs.file.impl", kind, FileSystem.class);
    configuration.setBoolean("fs.file.impl.disable.cache", true);
    return configuration;
  }

  private List<String> folders() throws IOException {
    try (Stream<Path> left = Files.list(output.resolve("checkpoints"))) {
      return left.map(p -> p.getFileName().toString()).sorted().toList();
    }
  }

  @Test
  void whatDoesNotFitIsRemovedAtOnce() throws IOException {
    CheckpointStore onFullDisk = begun(disk(FullDisk.class));
    write(onFullDisk, 1, 1, () -> {});
    List<String> first = folders();
    FullDisk.full = true;
    try {
      assertThatThrownBy(() -> write(onFullDisk, 2, 1, () -> {}))
          .isInstanceOf(IOException.class)
          .hasMessage("No space left on device");
    } finally {
      FullDisk.full = false;
    }
    assertThat(folders()).isEqualTo(first);
    assertThat(newestStep()).isEqualTo(1);
    write(onFullDisk, 2, 1, () -> {});
    assertThat(newestStep()).isEqualTo(2);
    assertThat(folders()).hasSize(1);
  }

  /** A disk that forgets, when the power goes, what was not synced. */
  public static final class VolatileDisk extends LocalFileSystem {
    /** Files with bytes in memory alone, however they are called now. */
    private static final Set<Object> UNSYNCED = ConcurrentHashMap.newKeySet();

    public VolatileDisk() {
      super(new ForgettingDisk());
    }

    public static void losePower(Path folder) throws IOException {
      try (Stream<Path> files = Files.walk(folder)) {
        for (Path file : files.filter(Files::isRegularFile).toList()) {
          if (UNSYNCED.contains(key(file))) {
            Files.write(file, new byte[0]);
          }
        }
      }
      UNSYNCED.clear();
    }

    private static Object key(Path file) throws IOException {
      return Files.readAttributes(file, BasicFileAttributes.class).fileKey();
    }

    private static final class ForgettingDisk extends RawLocalFileSystem {
      @Override
      protected OutputStream createOutputStreamWithMode(
          org.apache.hadoop.fs.Path path, boolean append, FsPermission permission)
          throws IOException {
        OutputStream out = super.createOutputStreamWithMode(path, append, permission);
        return new InMemory(out, key(pathToFile(path).toPath()));
      }
    }

    private static final class InMemory extends FilterOutputStream
        implements Syncable, StreamCapabilities {
      private final Object key;

      InMemory(OutputStream out, Object key) {
        super(out);
        this.key = key;
        UNSYNCED.add(key);
      }

      @Override
      public void write(byte[] bytes, int from, int length) throws IOException {
        UNSYNCED.add(key);
        out.write(bytes, from, length);
      }

      @Override
      public void hflush() throws IOException {
        out.flush();
      }

      @Override
      public void hsync() throws IOException {
        out.flush();
        UNSYNCED.remove(key);
      }

      @Override
      public boolean hasCapability(String capability) {
        return capability.equals(StreamCapabilities.HSYNC);
      }
    }
  }

  /** The power goes at every piece of a second checkpoint, which replaces the first. */
  @Test
  void afterALossOfPowerThereIsAWholeCheckpoint() throws IOException {
    Configuration disk = disk(VolatileDisk.class);
    AtomicInteger pieces = new AtomicInteger();
    write(begun(disk), 1, 1, () -> {});
    VolatileDisk.losePower(output);
    assertThat(newestStep()).isEqualTo(1);
    write(begun(disk), 2, 1, pieces::incrementAndGet);
    VolatileDisk.losePower(output);
    assertThat(newestStep()).isEqualTo(2);
    assertThat(pieces.get()).isGreaterThan(10);

    for (int allowed = 0; allowed < pieces.get(); allowed++) {
      AtomicInteger left = new AtomicInteger(allowed);
      long step = 3L + allowed;
      long before = newestStep();
      CheckpointStore attempt = begun(disk);
      assertThatThrownBy(
              () ->
                  write(
                      attempt,
                      step,
                      1,
                      () -> {
                        if (left.getAndDecrement() == 0) {
                          throw new IllegalStateException("the power is gone");
                        }
                      }))
          .hasMessage("the power is gone");
      VolatileDisk.losePower(output);
      // The last time only the removal was left to do.
      assertThat(newestStep()).isEqualTo(allowed < pieces.get() - 1 ? before : step);
    }
  }

  @Test
  void aRunRemovesWhatItWroteItselfAndNothingElse() throws IOException {
    Path torn = local(write(1, 2));
    Files.delete(torn.resolve(CheckpointStore.MARKER));
    Path old = local(write(2, 2));
    // Another run's, and those of a version that wrote no run into names, whole and torn.
    Path checkpoints = output.resolve("checkpoints");
    List<String> others =
        List.of("step-000000001.0123456789abcdef-01234567", "step-000000001.01234567");
    for (String other : others) {
      FileUtils.copyDirectory(old.toFile(), checkpoints.resolve(other).toFile());
    }
    Path alien =
        Files.createDirectory(checkpoints.resolve("step-000000009.fedcba9876543210-00000000"));
    Files.writeString(alien.resolve(Checkpoint.OPTIMIZER), "of a run that is writing");
    Path notes = Files.writeString(checkpoints.resolve("notes.txt"), "of a person");

    // A resumed run is the same: it removes the torn one, and prunes those of its first start.
    open();
    assertThat(torn).doesNotExist();
    write(3, 1);
    assertThat(old).doesNotExist();
    assertThat(newestStep()).isEqualTo(3);
    for (String other : others) {
      assertThat(checkpoints.resolve(other).resolve(CheckpointStore.MARKER)).exists();
    }
    assertThat(alien.resolve(Checkpoint.OPTIMIZER)).exists();
    assertThat(notes).exists();
  }

  @Test
  void aRunKeepsItsNumberAsLongAsAnythingTellsIt() throws IOException {
    Path file = output.resolve(RunId.FILE);
    String said = Files.readString(file);
    write(1, 9);
    open();
    assertThat(file).hasContent(said);
    // Lost, cut short by a loss of power, or not one at all: the newest checkpoint tells it.
    for (String damage : List.of("", "{", "null", "{\"run\": \"../..\"}", "{\"run\": null}")) {
      Files.writeString(file, damage);
      open();
      assertThat(file).hasContent(said);
    }
    Files.delete(file);
    open();
    assertThat(file).hasContent(said);
    FileUtils.deleteDirectory(output.resolve("checkpoints").toFile());
    Files.delete(file);
    open();
    assertThat(Files.readString(file)).isNotEqualTo(said).matches("(?s).*\"[0-9a-f]{16}\".*");
  }

  /** Whichever piece it was at when it was stopped: it makes no checkpoint and removes none. */
  @Test
  void whatMayNotWriteAnyMoreMakesNoCheckpointAndRemovesNone() throws IOException {
    Path first = local(write(1, 9));
    AtomicInteger asked = new AtomicInteger();
    FileUtils.deleteDirectory(local(write(2, 9, asked::incrementAndGet)).toFile());
    assertThat(asked.get()).isGreaterThan(10);
    for (int allowed = 0; allowed < asked.get(); allowed++) {
      AtomicInteger left = new AtomicInteger(allowed);
      assertThatThrownBy(
              () ->
                  write(
                      2,
                      1,
                      () -> {
                        if (left.getAndDecrement() == 0) {
                          throw new IllegalStateException("others have gone on");
                        }
                      }))
          .hasMessage("others have gone on");
      assertThat(first.resolve(CheckpointStore.MARKER)).exists();
      // The last time only the removal was left to do.
      assertThat(newestStep()).isEqualTo(allowed < asked.get() - 1 ? 1 : 2);
    }
  }

  @Test
  void otherSettingsAreRefusedByName() {
    TrainState state = state(1);
    state.checkIdentity(Map.of("seed", "7", "train.lr", "0.001"), "here");
    assertThatThrownBy(
            () -> state.checkIdentity(Map.of("train.lr", "0.1", "student.config", "tiny"), "here"))
        .hasMessage(
            "Cannot go on from the checkpoint here because it was made with other settings: seed was"
                + " 7 and is now not set; student.config was not set and is now tiny; train.lr was"
                + " 0.001 and is now 0.1. Use the same settings, or another train.output.");
  }
}
