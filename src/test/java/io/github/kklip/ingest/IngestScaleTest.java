package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Settings;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageFormat;
import io.github.kklip.image.ImageHeader;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.Resample;
import io.github.kklip.image.RgbImage;
import io.github.kklip.ingest.sources.Member;
import io.github.kklip.ingest.sources.Members;
import io.github.kklip.ingest.sources.Png;
import io.github.kklip.ingest.sources.SourceFiles;
import io.github.kklip.ingest.sources.SyntheticWorld;
import io.github.kklip.ingest.sources.Unit;
import io.github.kklip.ingest.sources.WebDatasetReader;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.DatasetManifest.SourceCounts;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Large, repeated, interrupted and hostile sources. */
@ExtendWith(LocalSpark.class)
class IngestScaleTest {
  private static final AtomicInteger DECODED = new AtomicInteger();
  private static volatile int failAt;

  @TempDir Path folder;

  @BeforeEach
  void reset() {
    DECODED.set(0);
    failAt = Integer.MAX_VALUE;
  }

  /** Counts, and breaks down when told to. */
  private static RgbImage decode(byte[] bytes, long maxPixels) throws ImageRejectedException {
    if (DECODED.incrementAndGet() > failAt) {
      throw new IllegalStateException("the power is off");
    }
    return ImageDecoder.decode(bytes, maxPixels);
  }

  private IngestResult ingest(String dataset, String sources, String... more) throws IOException {
    List<String> all = new ArrayList<>(List.of(more));
    all.add("dataset=" + folder.resolve(dataset));
    all.add("ingest.sources=[" + sources + "]");
    IngestResult result =
        IngestStage.run(LocalSpark.get(), Settings.load(List.of(), all), IngestScaleTest::decode);
    assertThat(result.input()).isEqualTo(result.pairs() + result.rejects());
    return result;
  }

  private String tar(String path, String... more) {
    return "{format=webdataset, path=\""
        + folder.resolve(path)
        + "\""
        + (more.length == 0 ? "" : ", " + more[0])
        + "}";
  }

  private DatasetFolder dataset(String name) {
    return new DatasetFolder(folder.resolve(name).toString(), new Configuration());
  }

  private List<Pair> pairs(String name) throws IOException {
    List<Pair> pairs = new ArrayList<>();
    for (Shard shard : dataset(name).requireManifest().shards()) {
      try (ShardReader<Pair> reader =
          ShardReader.open(new Configuration(), dataset(name).pairs(shard), PairFormat.ALL)) {
        for (int group = 0; group < reader.rowGroups(); group++) {
          pairs.addAll(reader.readGroup(group));
        }
      }
    }
    return pairs;
  }

  private List<Reject> rejects(String name) throws IOException {
    List<Reject> rejects = new ArrayList<>();
    for (DatasetManifest.Generation run : dataset(name).requireManifest().generations()) {
      for (String file : run.rejectFiles()) {
        try (ShardReader<Reject> reader =
            ShardReader.open(new Configuration(), dataset(name).file(file), new RejectFormat())) {
          for (int group = 0; group < reader.rowGroups(); group++) {
            rejects.addAll(reader.readGroup(group));
          }
        }
      }
    }
    return rejects;
  }

  /** The names of pair shards, which say their content. */
  private static List<String> shards(Map<String, byte[]> files) {
    return files.keySet().stream().filter(name -> name.startsWith("pairs/")).toList();
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

  private static byte[] png(long index) {
    return Png.encode(SyntheticWorld.draw(SyntheticWorld.scene(9, index), 64), 64, 64);
  }

  private void archive(String name, int from, int to) throws IOException {
    List<Map.Entry<String, byte[]>> members = new ArrayList<>();
    for (int i = from; i < to; i++) {
      members.add(Map.entry(i + ".png", png(i)));
      members.add(Map.entry(i + ".txt", ("caption " + i).getBytes(StandardCharsets.UTF_8)));
    }
    archive(name, members);
  }

  private void archive(String name, List<Map.Entry<String, byte[]>> members) throws IOException {
    Path path = folder.resolve(name);
    Files.createDirectories(path.getParent());
    OutputStream file = Files.newOutputStream(path);
    try (TarArchiveOutputStream tar =
        new TarArchiveOutputStream(name.endsWith("gz") ? new GZIPOutputStream(file) : file)) {
      tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_POSIX);
      for (Map.Entry<String, byte[]> member : members) {
        TarArchiveEntry entry = new TarArchiveEntry(member.getKey(), true);
        entry.setSize(member.getValue().length);
        tar.putArchiveEntry(entry);
        tar.write(member.getValue());
        tar.closeArchiveEntry();
      }
    }
  }

  @Test
  void aLongArchiveIsReadInPiecesAndGivesTheSame() throws IOException {
    archive("in/a.tar", 0, 200);
    Configuration configuration = new Configuration();
    Unit whole = Unit.whole(0, folder.resolve("in/a.tar").toString());
    IngestSettings settings =
        Settings.load(
                List.of(),
                List.of("ingest.split-bytes=65536", "ingest.sources=[" + tar("in") + "]"))
            .ingest();
    List<Unit> units =
        new WebDatasetReader(settings.sources().get(0), settings).plan(configuration, whole);
    assertThat(units.size()).isGreaterThan(2);

    ingest("whole", tar("in"));
    ingest("pieces", tar("in"), "ingest.split-bytes=65536");

    assertThat(pairs("pieces")).hasSize(200);
    assertThat(pairs("pieces").stream().map(Pair::id).toList())
        .isEqualTo(pairs("whole").stream().map(Pair::id).toList());
  }

  @Test
  void tenThousandShardsAreListedAtOnce() throws IOException {
    Files.createDirectories(folder.resolve("many"));
    for (int i = 0; i < 10_000; i++) {
      Files.createFile(folder.resolve("many/%05d.tar".formatted(i)));
    }
    Settings settings =
        Settings.load(
            List.of(),
            List.of(
                "ingest.sources=["
                    + tar("many/{00000..09999}.tar")
                    + ", "
                    + tar("many")
                    + ", "
                    + tar("many/*.tar")
                    + "]"));
    for (IngestSettings.SourceSettings source : settings.ingest().sources()) {
      List<SourceFiles.SourceFile> files = SourceFiles.of(new Configuration(), 0, source);
      assertThat(files).hasSize(10_000);
      assertThat(files.get(9_999).unit().path()).endsWith("/09999.tar");
    }
  }

  @Test
  void archivesThatWereReadAreNotReadAgain() throws IOException {
    archive("in/a.tar", 0, 6);
    ingest("data", tar("in"), "ingest.validation-fraction=0");
    Map<String, byte[]> before = files("data");
    DECODED.set(0);

    IngestResult nothing = ingest("data", tar("in"), "ingest.validation-fraction=0");

    assertThat(nothing.input()).isZero();
    assertThat(DECODED.get()).isZero();
    assertThat(files("data").keySet()).isEqualTo(before.keySet());

    archive("in/b.tar", 4, 9);
    IngestResult more = ingest("data", tar("in"), "ingest.validation-fraction=0");
    assertThat(more.pairs()).isEqualTo(3);
    assertThat(more.reasons()).isEqualTo(Map.of("duplicate", 2L));
    assertThat(DECODED.get()).isEqualTo(3);
    assertThat(shards(files("data"))).containsAll(shards(before));
    assertThat(dataset("data").requireManifest().generations()).hasSize(2);
  }

  @Test
  void aRunThatBrokeOffIsGoneOnWith() throws IOException {
    for (int i = 0; i < 8; i++) {
      archive("in/" + i + ".tar", 10 * i, 10 * i + 10);
    }
    String[] settings = {"ingest.shard-rows=20", "ingest.validation-fraction=0.2"};
    ingest("whole", tar("in"), settings);
    assertThat(DECODED.get()).isEqualTo(80);

    DECODED.set(0);
    failAt = 45;
    assertThatThrownBy(() -> ingest("broken", tar("in"), settings))
        .hasMessageContaining("the power is off");
    int known = files("broken").keySet().stream().filter(n -> n.endsWith(".json")).toList().size();
    assertThat(known).isGreaterThan(2);
    DECODED.set(0);
    failAt = Integer.MAX_VALUE;
    ingest("broken", tar("in"), settings);

    // Archives that were read to their ends are in the journal.
    assertThat(DECODED.get()).isLessThanOrEqualTo(80 - 10 * (known - 1));
    Map<String, byte[]> whole = files("whole");
    Map<String, byte[]> broken = files("broken");
    assertThat(broken.keySet()).isEqualTo(whole.keySet());
    whole.forEach((name, bytes) -> assertThat(broken.get(name)).as(name).isEqualTo(bytes));
  }

  @Test
  void shardsOfAnInterruptedRunStay() throws IOException {
    archive("in/a.tar", 0, 50);
    String[] settings = {"ingest.shard-rows=20", "ingest.validation-fraction=0"};
    ingest("whole", tar("in"), settings);
    // The last shard cannot be put in its place.
    String last = dataset("whole").requireManifest().shards().get(2).file();
    Path blocked = folder.resolve("broken").resolve(last);
    Files.createDirectories(blocked.resolve("in-the-way"));
    assertThatThrownBy(() -> ingest("broken", tar("in"), settings))
        .hasMessageContaining(blocked.getFileName().toString());
    Files.delete(blocked.resolve("in-the-way"));
    Files.delete(blocked);
    FileTime old = FileTime.fromMillis(1_000_000_000_000L);
    List<Path> kept;
    try (Stream<Path> files = Files.list(folder.resolve("broken/pairs/1"))) {
      kept = files.filter(file -> file.toString().endsWith(".parquet")).toList();
    }
    assertThat(kept).isNotEmpty();
    for (Path file : kept) {
      Files.setLastModifiedTime(file, old);
    }

    DECODED.set(0);
    ingest("broken", tar("in"), settings);

    assertThat(DECODED.get()).isZero();
    for (Path file : kept) {
      assertThat(Files.getLastModifiedTime(file)).isEqualTo(old);
    }
    Map<String, byte[]> broken = files("broken");
    Map<String, byte[]> whole = files("whole");
    assertThat(broken.keySet()).isEqualTo(whole.keySet());
    whole.forEach((name, bytes) -> assertThat(broken.get(name)).as(name).isEqualTo(bytes));
  }

  @Test
  void weightsRepeatAndSampleAndEverySourceIsCounted() throws IOException {
    archive("in/a.tar", 0, 40);
    archive("in/b.tar", 100, 140);

    IngestResult result =
        ingest(
            "data",
            tar("in/a.tar", "weight=2.5")
                + ", "
                + tar("in/b.tar", "weight=0.5")
                + ", "
                + tar("in/a.tar"));

    SourceCounts first = result.sources().get(0);
    SourceCounts second = result.sources().get(1);
    assertThat(first.pairs()).isEqualTo(first.input()).isBetween(85L, 115L);
    assertThat(second.pairs()).isBetween(8L, 32L);
    assertThat(second.input()).isEqualTo(40);
    assertThat(result.sources().get(2).pairs()).isZero();
    assertThat(result.reasons())
        .isEqualTo(Map.of("duplicate", 40L, "sampled-out", 40 - second.pairs()));
    assertThat(dataset("data").requireManifest().generations().get(0).sources())
        .isEqualTo(result.sources());
    List<Pair> pairs = pairs("data");
    assertThat(pairs.stream().map(Pair::id).distinct()).hasSize(pairs.size());
    assertThat(pairs.stream().map(Pair::imageId).distinct()).hasSize((int) (40 + second.pairs()));
  }

  @Test
  void captionsAreNormalised() throws IOException {
    archive(
        "in/a.tar",
        List.of(
            Map.entry("0.png", png(0)),
            Map.entry(
                "0.txt",
                "  cafe\u0301\tau\u0000 lait\r\nhot\u0007 ".getBytes(StandardCharsets.UTF_8))));

    ingest("on", tar("in"));
    ingest("off", tar("in"), "ingest.normalise-captions=false");

    assertThat(pairs("on").get(0).caption()).isEqualTo("caf\u00e9 au lait hot");
    assertThat(pairs("off").get(0).caption()).isEqualTo("cafe\u0301\tau\u0000 lait\r\nhot\u0007");
  }

  @Test
  void imagesAreStoredSmaller() throws Exception {
    archive(
        "in/a.tar",
        List.of(
            Map.entry(
                "0.png",
                Png.encode(SyntheticWorld.draw(SyntheticWorld.scene(9, 1), 256), 256, 256)),
            Map.entry("0.txt", "large".getBytes(StandardCharsets.UTF_8)),
            Map.entry("1.png", png(2)),
            Map.entry("1.txt", "small".getBytes(StandardCharsets.UTF_8))));

    for (String format : List.of("jpeg", "webp")) {
      ingest(
          format,
          tar("in"),
          "ingest.reencode-side=96",
          "ingest.reencode-format=" + format,
          "ingest.reencode-quality=80");

      Map<String, Pair> pairs = new TreeMap<>();
      pairs(format).forEach(pair -> pairs.put(pair.caption(), pair));
      assertThat(pairs.get("small").image()).isEqualTo(png(2));
      Pair large = pairs.get("large");
      ImageHeader stored = ImageDecoder.probe(large.image());
      assertThat(stored.format()).isEqualTo(ImageFormat.valueOf(format.toUpperCase(Locale.ROOT)));
      assertThat(List.of(large.width(), stored.width(), stored.height())).containsOnly(96);
      RgbImage drawn =
          Resample.to(
              new RgbImage(256, 256, SyntheticWorld.draw(SyntheticWorld.scene(9, 1), 256)), 96, 96);
      assertThat(meanDifference(ImageDecoder.decode(large.image()), drawn)).isLessThan(4);
    }
  }

  /** In levels of 0 to 255. */
  private static double meanDifference(RgbImage one, RgbImage other) {
    long sum = 0;
    for (int i = 0; i < one.rgb().length; i++) {
      sum += Math.abs((one.rgb()[i] & 0xFF) - (other.rgb()[i] & 0xFF));
    }
    return (double) sum / one.rgb().length;
  }

  @Test
  void imagesThatLookLikeAnEarlierOneGo() throws Exception {
    List<Map.Entry<String, byte[]>> members = new ArrayList<>();
    for (int i = 0; i < 12; i++) {
      byte[] original = Png.encode(SyntheticWorld.draw(SyntheticWorld.scene(5, i), 128), 128, 128);
      members.add(Map.entry(i + "a.png", original));
      members.add(Map.entry(i + "a.txt", "one".getBytes(StandardCharsets.UTF_8)));
      RgbImage smaller = Resample.shortestSide(ImageDecoder.decode(original), 90);
      members.add(Map.entry(i + "b.jpg", Resample.jpeg(smaller, 70)));
      members.add(Map.entry(i + "b.txt", "two".getBytes(StandardCharsets.UTF_8)));
    }
    archive("in/a.tar", members);

    IngestResult result = ingest("data", tar("in"), "ingest.near-duplicate-bits=6");

    assertThat(result.reasons().keySet()).containsExactly("near-duplicate");
    assertThat(result.reasons().get("near-duplicate")).isGreaterThanOrEqualTo(10);
    assertThat(rejects("data")).hasSize((int) result.rejects());
    Set<String> kept = new HashSet<>();
    pairs("data").forEach(pair -> kept.add(pair.caption()));
    assertThat(kept).contains("one");
    assertThat(result.pairs()).isBetween(6L, 14L);
  }

  @Test
  void imagesThatLookLikeOneOfTheDatasetGo() throws Exception {
    List<Map.Entry<String, byte[]>> originals = new ArrayList<>();
    List<Map.Entry<String, byte[]>> copies = new ArrayList<>();
    for (int i = 0; i < 6; i++) {
      byte[] original = Png.encode(SyntheticWorld.draw(SyntheticWorld.scene(5, i), 128), 128, 128);
      originals.add(Map.entry(i + ".png", original));
      originals.add(Map.entry(i + ".txt", "one".getBytes(StandardCharsets.UTF_8)));
      RgbImage smaller = Resample.shortestSide(ImageDecoder.decode(original), 100);
      copies.add(Map.entry(i + ".jpg", Resample.jpeg(smaller, 80)));
      copies.add(Map.entry(i + ".txt", "two".getBytes(StandardCharsets.UTF_8)));
    }
    // The very image with another caption is no near-duplicate.
    copies.add(Map.entry("same.png", originals.get(0).getValue()));
    copies.add(Map.entry("same.txt", "three".getBytes(StandardCharsets.UTF_8)));
    String[] settings = {"ingest.near-duplicate-bits=6", "ingest.validation-fraction=0"};
    archive("in/a.tar", originals);
    ingest("data", tar("in"), settings);
    Map<String, byte[]> before = files("data");

    DECODED.set(0);
    archive("in/b.tar", copies);
    IngestResult more = ingest("data", tar("in"), settings);

    assertThat(DECODED.get()).isEqualTo(7);
    assertThat(more.reasons().keySet()).containsExactly("near-duplicate");
    assertThat(more.reasons().get("near-duplicate")).isGreaterThanOrEqualTo(5);
    assertThat(pairs("data")).extracting(Pair::caption).contains("three");
    assertThat(shards(files("data"))).containsAll(shards(before));
  }

  @Test
  void hostileMembersAreRejectsAndNothingIsWrittenElsewhere() throws IOException {
    byte[] json = new byte[100 << 20];
    java.util.Arrays.fill(json, (byte) ' ');
    archive(
        "in/a.tar",
        List.of(
            Map.entry("../../up.png", png(0)),
            Map.entry("../../up.txt", "up".getBytes(StandardCharsets.UTF_8)),
            Map.entry("/etc/absolute.png", png(1)),
            Map.entry("/etc/absolute.txt", "absolute".getBytes(StandardCharsets.UTF_8)),
            Map.entry("2.png", png(2)),
            Map.entry("2.json", json),
            Map.entry("<script>.png", png(3)),
            Map.entry("<script>.txt", new byte[] {' '})));
    archive("in/bomb.tgz", List.of(Map.entry("bomb.bin", new byte[64 << 20])));

    IngestResult result = ingest("data", tar("in"));

    assertThat(pairs("data")).extracting(Pair::caption).containsExactlyInAnyOrder("up", "absolute");
    assertThat(result.reasons())
        .isEqualTo(Map.of("member-too-large", 1L, "cut-short", 1L, "caption-too-short", 1L));
    assertThat(rejects("data"))
        .extracting(Reject::detail)
        .anyMatch(detail -> detail.contains("it expands more than 100.0 times"));
    assertThat(folder.resolve("up.png")).doesNotExist();
    assertThat(folder.resolve("data/card.html"))
        .content()
        .contains("&lt;script&gt;")
        .doesNotContain("<script")
        .doesNotContain("href", "src=\"http", "url(", "@import")
        .contains("data:image/jpeg;base64,")
        .contains("caption-too-short: 1");
  }

  @Test
  void manyTinyMembersTakeNoMemory() throws IOException {
    Path file = folder.resolve("tiny.tar");
    ByteArrayOutputStream one = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(one, 512, "UTF-8")) {
      TarArchiveEntry entry = new TarArchiveEntry("x.bin");
      entry.setSize(1);
      tar.putArchiveEntry(entry);
      tar.write(1);
      tar.closeArchiveEntry();
    }
    byte[] member = java.util.Arrays.copyOf(one.toByteArray(), 1024);
    try (OutputStream out =
        new java.io.BufferedOutputStream(Files.newOutputStream(file), 1 << 16)) {
      for (int i = 0; i < 100_000; i++) {
        out.write(member);
      }
      out.write(new byte[1024]);
    }
    IngestSettings settings =
        Settings.load(List.of(), List.of("ingest.sources=[" + tar("tiny.tar") + "]")).ingest();
    long ignored = 0;
    try (Members members =
        new WebDatasetReader(settings.sources().get(0), settings)
            .open(new Configuration(), Unit.whole(0, file.toString()))) {
      for (Member next = members.next(); next != null; next = members.next()) {
        assertThat(next.picture()).isNull();
        ignored += next.ignored();
      }
    }
    assertThat(ignored).isEqualTo(100_000);
  }
}
