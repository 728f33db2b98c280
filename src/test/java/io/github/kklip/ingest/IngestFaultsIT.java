package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.RgbImage;
import io.github.kklip.ingest.sources.Png;
import io.github.kklip.ingest.sources.SyntheticWorld;
import io.github.kklip.launch.LocalCluster;
import io.github.kklip.launch.StandaloneCluster;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Ingest as processes that are killed, and with a decoder that kills its process. */
@Tag("slow")
class IngestFaultsIT {
  private static final int HALTS = 77;

  @TempDir Path folder;

  private static RgbImage decode(byte[] bytes, long maxPixels) throws ImageRejectedException {
    if (ImageDecoder.probe(bytes).width() == HALTS) {
      Runtime.getRuntime().halt(134);
    }
    return ImageDecoder.decode(bytes, maxPixels);
  }

  private void archives(int count, int images) throws IOException {
    Files.createDirectories(folder.resolve("in"));
    for (int a = 0; a < count; a++) {
      try (OutputStream file = Files.newOutputStream(folder.resolve("in/" + a + ".tar"));
          TarArchiveOutputStream tar = new TarArchiveOutputStream(file)) {
        for (int i = a * images; i < (a + 1) * images; i++) {
          byte[] rgb = SyntheticWorld.draw(SyntheticWorld.scene(9, i), 64);
          member(tar, i + ".png", Png.encode(rgb, 64, 64));
          member(tar, i + ".txt", ("caption " + i).getBytes(StandardCharsets.UTF_8));
        }
      }
    }
  }

  private static void member(TarArchiveOutputStream tar, String name, byte[] bytes)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(bytes.length);
    tar.putArchiveEntry(entry);
    tar.write(bytes);
    tar.closeArchiveEntry();
  }

  @Test
  void anImageThatEndsTheDecodersProcessIsARejectAndTheOthersArePairs() throws IOException {
    archives(2, 6);
    try (OutputStream file = Files.newOutputStream(folder.resolve("in/crash.tar"));
        TarArchiveOutputStream tar = new TarArchiveOutputStream(file)) {
      for (int i = 0; i < 5; i++) {
        int side = i == 2 ? HALTS : 64 + i;
        member(tar, i + ".png", Png.encode(new byte[3 * side * side], side, side));
        member(tar, i + ".txt", ("of " + i).getBytes(StandardCharsets.UTF_8));
      }
    }
    Settings settings =
        Settings.load(
            List.of(),
            List.of(
                "dataset=" + folder.resolve("data"),
                "ingest.sources=[{format=webdataset, path=\"" + folder.resolve("in") + "\"}]"));
    try (JavaSparkContext spark = LocalCluster.open(1, 1, Map.of())) {
      IngestResult result = IngestStage.run(spark, settings, IngestFaultsIT::decode);

      assertThat(result.reasons()).isEqualTo(Map.of("decoder-crash", 1L));
      assertThat(result.pairs()).isEqualTo(12 + 4);
    }
    assertThat(folder.resolve("data/_work")).doesNotExist();
  }

  private Process start(String dataset, String leaseExpiry) throws IOException {
    List<String> command =
        StandaloneCluster.java(
            "-Xmx512m",
            "io.github.kklip.jobs.Main",
            "ingest",
            "--master",
            "local[2]",
            "--set",
            "dataset=" + folder.resolve(dataset),
            "--set",
            "lease-expiry=" + leaseExpiry,
            "--set",
            "ingest.shard-rows=100",
            "--set",
            "ingest.sources=[{format=webdataset, path=\"" + folder.resolve("in") + "\"}]");
    return new ProcessBuilder(command)
        .redirectErrorStream(true)
        .redirectOutput(folder.resolve(dataset + ".log").toFile())
        .start();
  }

  private static void signal(String name, Process process) throws Exception {
    Process kill = new ProcessBuilder("kill", "-" + name, Long.toString(process.pid())).start();
    assertThat(kill.waitFor(10, TimeUnit.SECONDS)).isTrue();
    assertThat(kill.exitValue()).isZero();
  }

  private int end(Process process) throws InterruptedException {
    try {
      assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
    } finally {
      process.destroyForcibly();
    }
    return process.exitValue();
  }

  private Map<String, byte[]> files(String name) throws IOException {
    Map<String, byte[]> files = new TreeMap<>();
    try (Stream<Path> found = Files.walk(folder.resolve(name))) {
      for (Path path : found.filter(Files::isRegularFile).toList()) {
        files.put(folder.resolve(name).relativize(path).toString(), Files.readAllBytes(path));
      }
    }
    return files;
  }

  /** Until the folder holds so many files of the ending. */
  private static void await(Path folder, String ending, int count) throws Exception {
    Files.createDirectories(folder);
    try (WatchService watch = FileSystems.getDefault().newWatchService()) {
      folder.register(watch, StandardWatchEventKinds.ENTRY_CREATE);
      while (true) {
        try (Stream<Path> files = Files.list(folder)) {
          if (files.filter(file -> file.toString().endsWith(ending)).count() >= count) {
            return;
          }
        }
        WatchKey key = watch.poll(1, TimeUnit.MINUTES);
        assertThat(key).as("files *%s in %s", ending, folder).isNotNull();
        key.pollEvents();
        key.reset();
      }
    }
  }

  @Test
  void theSameCommandGoesOnAfterAKillAndASecondOneMeanwhileIsRefused() throws Exception {
    archives(12, 150);
    assertThat(end(start("whole", "1 minute"))).isZero();

    Process first = start("data", "1 minute");
    try {
      await(folder.resolve("data/_work"), "", 1);
      Path work;
      try (Stream<Path> works = Files.list(folder.resolve("data/_work"))) {
        work = works.findFirst().orElseThrow();
      }
      await(work, ".json", 4);
      // It holds its breath, so that it is surely there while the second one comes.
      signal("STOP", first);
      Files.createSymbolicLink(folder.resolve("same"), folder.resolve("data"));
      assertThat(end(start("same", "1 hour"))).as("refused").isEqualTo(2);
      assertThat(Files.readString(folder.resolve("same.log")))
          .contains("because the job ingest on ")
          .contains("(process " + first.pid() + ", started ");
    } finally {
      first.destroyForcibly();
    }
    assertThat(first.waitFor()).isNotZero();
    assertThat(folder.resolve("data/_manifests")).doesNotExist();
    // The lease of the killed run is older than a second by the time that Spark is up.
    assertThat(end(start("data", "1 second"))).isZero();
    assertThat(Files.readString(folder.resolve("data.log")))
        .contains("Going on with an interrupted run");

    Map<String, byte[]> whole = files("whole");
    Map<String, byte[]> data = files("data");
    assertThat(data.keySet()).isEqualTo(whole.keySet());
    whole.forEach((name, bytes) -> assertThat(data.get(name)).as(name).isEqualTo(bytes));
  }

  /** Until the log of a process says so. */
  /** One that takes over: as long as the other's lease is young it is refused, and starts again. */
  private Process heir(String name, String expiry) throws Exception {
    Path log = folder.resolve(name + ".log");
    for (int tries = 0; tries < 10; tries++) {
      Process heir = start(name, expiry);
      try (WatchService watch = FileSystems.getDefault().newWatchService()) {
        folder.register(watch, StandardWatchEventKinds.ENTRY_MODIFY);
        while (heir.isAlive() && !Files.readString(log).contains("Taking over ")) {
          WatchKey key = watch.poll(1, TimeUnit.SECONDS);
          if (key != null) {
            key.pollEvents();
            key.reset();
          }
        }
      }
      String said = Files.readString(log);
      if (said.contains("Taking over ")) {
        return heir;
      }
      assertThat(said).contains(" is writing to it. Wait for its end");
    }
    throw new AssertionError("No " + name + " took over: " + Files.readString(log));
  }

  /** One that is in the midst of its work and stands still. */
  private Process stopped(String dataset, String expiry) throws Exception {
    Process process = start(dataset, expiry);
    try {
      await(folder.resolve(dataset + "/_work"), "", 1);
      try (Stream<Path> works = Files.list(folder.resolve(dataset + "/_work"))) {
        await(works.findFirst().orElseThrow(), ".json", 2);
      }
      signal("STOP", process);
      return process;
    } catch (Exception | AssertionError e) {
      process.destroyForcibly();
      throw e;
    }
  }

  /** It has lost its lease: it says so and publishes nothing. */
  private void assertLost(Process process, String dataset) throws Exception {
    assertThat(end(process)).as(dataset).isEqualTo(1);
    assertThat(Files.readString(folder.resolve(dataset + ".log")))
        .contains("Cannot go on writing to ", " because the lease was lost: ");
  }

  private void assertWhole(String dataset, Map<String, byte[]> whole) throws IOException {
    Map<String, byte[]> data = files(dataset);
    // What the loser was writing at that moment belongs to nobody.
    data.keySet().removeIf(name -> name.endsWith(".unfinished") || name.startsWith("_work/"));
    assertThat(data.keySet()).as(dataset).isEqualTo(whole.keySet());
    whole.forEach((name, bytes) -> assertThat(data.get(name)).as(name).isEqualTo(bytes));
  }

  /** Its driver stands for longer than its lease lasts, and another one takes over. */
  @Test
  void aDriverThatWasStoppedAndGoesOnPublishesNothing() throws Exception {
    archives(8, 100);
    String expiry = "4 seconds";
    assertThat(end(start("whole", expiry))).isZero();
    Map<String, byte[]> whole = files("whole");

    // It goes on after the other one has published.
    Process late = stopped("after", expiry);
    try {
      Files.createSymbolicLink(folder.resolve("heir-after"), folder.resolve("after"));
      assertThat(end(heir("heir-after", expiry))).isZero();
      assertThat(Files.readString(folder.resolve("heir-after.log")))
          .contains("Taking over ", "(process " + late.pid() + ", ", "whose lease has expired");
      signal("CONT", late);
      assertLost(late, "after");
    } finally {
      late.destroyForcibly();
    }
    assertWhole("after", whole);

    // It goes on while the other one works.
    Process early = stopped("beside", expiry);
    Process heir = null;
    try {
      Files.createSymbolicLink(folder.resolve("heir-beside"), folder.resolve("beside"));
      heir = heir("heir-beside", expiry);
      signal("CONT", early);
      assertLost(early, "beside");
      assertThat(end(heir)).as("heir").isZero();
    } finally {
      early.destroyForcibly();
      if (heir != null) {
        heir.destroyForcibly();
      }
    }
    assertWhole("beside", whole);
    assertThat(folder.resolve("beside/_manifests")).isDirectoryContaining("glob:**/000000001.json");
    assertThat(folder.resolve("beside/_manifests/000000002.json")).doesNotExist();
  }
}
