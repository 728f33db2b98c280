package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.RgbImage;
import io.github.kklip.ingest.sources.Png;
import io.github.kklip.ingest.sources.SyntheticWorld;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TestDataset;
import io.github.kklip.store.TokenizerManifest;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.IntStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Sources that say the split of their pairs. */
@ExtendWith(LocalSpark.class)
class SplitsTest {
  private static final List<List<Integer>> ORDERS =
      List.of(
          List.of(0, 1, 2),
          List.of(0, 2, 1),
          List.of(1, 0, 2),
          List.of(1, 2, 0),
          List.of(2, 0, 1),
          List.of(2, 1, 0));

  /** What happens when the next image is decoded. */
  private static final AtomicReference<Runnable> MEANWHILE = new AtomicReference<>();

  @TempDir Path folder;

  @BeforeEach
  void images() throws IOException {
    Files.createDirectories(folder.resolve("images"));
    for (int i = 0; i < 20; i++) {
      Files.write(folder.resolve("images/" + i + ".png"), png(i));
    }
  }

  private static byte[] png(int image) {
    return Png.encode(SyntheticWorld.draw(SyntheticWorld.scene(9, image), 64), 64, 64);
  }

  /** A table whose rows are {@code IMAGE CAPTION}. */
  private void table(String name, String... rows) throws IOException {
    StringBuilder text = new StringBuilder("filepath\ttitle\n");
    for (String row : rows) {
      String[] cells = row.split(" ", 2);
      text.append("images/").append(cells[0]).append(".png\t").append(cells[1]).append('\n');
    }
    Files.writeString(folder.resolve(name + ".csv"), text);
  }

  private void table(String name, int from, int to) throws IOException {
    table(
        name,
        IntStream.range(from, to)
            .mapToObj(image -> image + " image " + image)
            .toArray(String[]::new));
  }

  private String source(String name, String split) {
    return "{ format = csv, path = \""
        + folder.resolve(name + ".csv")
        + "\", split = "
        + split
        + " }";
  }

  private Settings settings(String dataset, List<String> sources, String... more) {
    List<String> all =
        new ArrayList<>(
            List.of(
                "dataset=" + folder.resolve(dataset),
                "ingest.validation-fraction=0.5",
                "ingest.sources=[" + String.join(", ", sources) + "]"));
    all.addAll(List.of(more));
    return Settings.load(List.of(), all);
  }

  private IngestResult ingest(String dataset, List<String> sources, String... more)
      throws IOException {
    IngestResult result =
        IngestStage.run(LocalSpark.get(), settings(dataset, sources, more), SplitsTest::decode);
    assertThat(result.input()).isEqualTo(result.pairs() + result.rejects());
    assertThat(result.totals().input())
        .isEqualTo(result.totals().pairs() + result.totals().rejects());
    return result;
  }

  private static RgbImage decode(byte[] bytes, long maxPixels) throws ImageRejectedException {
    Runnable once = MEANWHILE.getAndSet(null);
    if (once != null) {
      once.run();
    }
    return ImageDecoder.decode(bytes, maxPixels);
  }

  private DatasetFolder dataset(String name) {
    return new DatasetFolder(folder.resolve(name).toString(), new Configuration(false));
  }

  private List<Pair> rows(String dataset, Split split) throws IOException {
    List<Pair> rows = new ArrayList<>();
    for (Shard shard : dataset(dataset).requireManifest().shards(split)) {
      List<Pair> read = read(dataset, shard);
      assertThat(read).hasSize((int) shard.rows());
      rows.addAll(read);
    }
    return rows;
  }

  private List<Pair> read(String dataset, Shard shard) throws IOException {
    List<Pair> rows = new ArrayList<>();
    try (ShardReader<Pair> reader =
        ShardReader.open(new Configuration(false), dataset(dataset).pairs(shard), PairFormat.ALL)) {
      assertThat(reader.identity()).isEqualTo(shard.identity());
      for (int group = 0; group < reader.rowGroups(); group++) {
        rows.addAll(reader.readGroup(group));
      }
    }
    return rows;
  }

  /** The captions of each split, sorted. */
  private Map<Split, List<String>> captions(String dataset) throws IOException {
    Map<Split, List<String>> captions = new EnumMap<>(Split.class);
    for (Split split : Split.values()) {
      captions.put(split, rows(dataset, split).stream().map(Pair::caption).sorted().toList());
    }
    return captions;
  }

  private static List<String> images(int from, int to) {
    return IntStream.range(from, to).mapToObj(image -> "image " + image).sorted().toList();
  }

  private static SortedMap<String, Long> reasons(Object... reasonsAndCounts) {
    SortedMap<String, Long> reasons = new TreeMap<>();
    for (int i = 0; i < reasonsAndCounts.length; i += 2) {
      reasons.put((String) reasonsAndCounts[i], ((Integer) reasonsAndCounts[i + 1]).longValue());
    }
    return reasons;
  }

  @Test
  void aSourceSaysWhereAllOfItGoes() throws IOException {
    table("a", 0, 5);
    table("b", 5, 10);
    table("c", 10, 15);
    table("d", 15, 20);
    IngestResult result =
        ingest(
            "data",
            List.of(
                source("a", "train"),
                source("b", "validation"),
                source("c", "test"),
                source("d", "auto")));

    assertThat(result.pairs()).isEqualTo(20);
    Map<Split, List<String>> captions = captions("data");
    assertThat(captions.get(Split.TEST)).isEqualTo(images(10, 15));
    assertThat(captions.get(Split.TRAIN)).containsAll(images(0, 5));
    assertThat(captions.get(Split.VALIDATION)).containsAll(images(5, 10));
    assertThat(captions.get(Split.TRAIN).size() + captions.get(Split.VALIDATION).size())
        .isEqualTo(15);
    for (Pair pair : rows("data", Split.TRAIN)) {
      assertThat(
              images(0, 5).contains(pair.caption())
                  || Layout.split(pair.imageId(), 0.5) == Split.TRAIN)
          .isTrue();
    }
    DatasetManifest manifest = dataset("data").requireManifest();
    assertThat(manifest.totals().test()).isEqualTo(5);
    assertThat(manifest.shards().stream().map(Shard::stem))
        .containsExactly("train-00000", "validation-00000", "test-00000");
    Shard test = manifest.shards(Split.TEST).get(0);
    assertThat(test.file()).matches("pairs/1/test-00000-[0-9a-f]{32}\\.parquet");
    SparkSession session = SparkSession.builder().sparkContext(LocalSpark.get().sc()).getOrCreate();
    assertThat(
            session
                .read()
                .parquet(dataset("data").pairs(test).toString())
                .where("split = 'test'")
                .count())
        .isEqualTo(5);
    assertThat(Files.readString(folder.resolve("data/card.html"))).contains("5 for test;");
  }

  @Test
  void rowsOfTestAreAllThereHoweverOftenTheyRepeat() throws IOException {
    Files.writeString(folder.resolve("images/broken.png"), "no image");
    String[] published = {
      "1 one", "1 one", "1 another", "2 two", "broken none", "1 one", "3 three", "4 four", "1 one"
    };
    table("a", published);
    table("b", "2 two", "5 five");
    table("c", published);
    List<String> sources = List.of(source("a", "test"), source("b", "test"), source("c", "train"));
    IngestResult result = ingest("data", sources, "ingest.shard-rows=2");

    assertThat(result.reasons()).isEqualTo(reasons("image-undecodable", 2, "in-test-split", 8));
    assertThat(result.totals().test()).isEqualTo(10);
    assertThat(result.sources().stream().map(DatasetManifest.SourceCounts::pairs))
        .containsExactly(8L, 2L, 0L);
    List<Pair> rows = rows("data", Split.TEST);
    assertThat(rows.stream().map(Pair::caption))
        .containsExactlyInAnyOrder(
            "one", "one", "one", "one", "another", "two", "two", "three", "four", "five");
    assertThat(rows.stream().map(Pair::id)).doesNotHaveDuplicates();
    String one = Identity.ofPair(Identity.ofImage(png(1)), "one");
    assertThat(rows.stream().filter(row -> row.caption().equals("one")).map(Pair::id))
        .containsExactlyInAnyOrder(
            one, Identity.ofCopy(one, 1), Identity.ofCopy(one, 2), Identity.ofCopy(one, 3));
    // No shard begins among equal rows, which would leave one empty and its number unused.
    List<Shard> shards = dataset("data").requireManifest().shards();
    assertThat(shards).hasSizeBetween(3, 5);
    assertThat(shards.get(shards.size() - 1).index()).isEqualTo(shards.size() - 1);

    IngestResult again = ingest("data", sources, "ingest.shard-rows=2");
    assertThat(again.pairs()).isZero();
    assertThat(again.reasons())
        .isEqualTo(reasons("duplicate", 10, "image-undecodable", 2, "in-test-split", 8));
    assertThat(again.totals().test()).isEqualTo(10);
  }

  /** A table of more rows than a task reads: equal rows come from several. */
  @Test
  void rowsOfTestThatRepeatInOtherTasksAreThereToo() throws IOException {
    String[] rows = new String[1300];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = i % 3 + " caption " + i % 130;
    }
    table("a", rows);
    IngestResult test = ingest("test", List.of(source("a", "test")), "ingest.shard-rows=100");
    assertThat(test.totals().test()).isEqualTo(1300);
    assertThat(rows("test", Split.TEST).stream().map(Pair::id)).doesNotHaveDuplicates();
    IngestResult train = ingest("train", List.of(source("a", "train")));
    assertThat(train.totals().train()).isEqualTo(390);
    assertThat(train.reasons()).isEqualTo(reasons("duplicate", 910));
  }

  private List<String> overlapping() throws IOException {
    table("a", 0, 10);
    table("b", 5, 15);
    table("c", 8, 18);
    return List.of(source("a", "train"), source("b", "validation"), source("c", "test"));
  }

  private void assertDisjoint(String dataset) throws IOException {
    assertThat(captions(dataset))
        .isEqualTo(
            Map.of(
                Split.TRAIN, images(0, 5),
                Split.VALIDATION, images(5, 8),
                Split.TEST, images(8, 18)));
  }

  @Test
  void anImageIsInOneSplitWhateverTheOrderOfSources() throws IOException {
    List<String> sources = overlapping();
    List<Object> first = null;
    for (List<Integer> order : ORDERS) {
      String dataset = "data" + order.stream().map(Object::toString).toList();
      IngestResult result = ingest(dataset, order.stream().map(sources::get).toList());
      assertDisjoint(dataset);
      assertThat(result.reasons()).isEqualTo(reasons("in-test-split", 9, "in-validation-split", 3));
      assertThat(result.leftOut()).isZero();
      List<Object> shards =
          dataset(dataset).requireManifest().shards().stream()
              .<Object>map(Shard::identity)
              .toList();
      first = first == null ? shards : first;
      assertThat(shards).isEqualTo(first);
    }
  }

  @Test
  void anImageIsInOneSplitWhateverTheOrderOfRuns() throws IOException {
    List<String> sources = overlapping();
    for (List<Integer> order : ORDERS) {
      String dataset = "data" + order.stream().map(Object::toString).toList();
      long left = 0;
      long pairs = 0;
      for (int run : order) {
        IngestResult result = ingest(dataset, List.of(sources.get(run)));
        left += result.leftOut();
        pairs += result.pairs();
        assertThat(result.totals().pairs()).isEqualTo(pairs - left);
      }
      assertDisjoint(dataset);
      DatasetManifest.Totals totals = dataset(dataset).requireManifest().totals();
      assertThat(totals.input()).isEqualTo(30);
      assertThat(totals.reasons().keySet()).containsOnly("in-test-split", "in-validation-split");
      assertThat(totals.rejects()).isEqualTo(12);
      // Nothing comes or goes when all of it is read again.
      long number = dataset(dataset).requireManifest().number();
      IngestResult again = ingest(dataset, sources);
      assertThat(again.pairs()).isZero();
      assertThat(again.leftOut()).isZero();
      assertThat(dataset(dataset).requireManifest().number()).isEqualTo(number + 1);
      assertDisjoint(dataset);
    }
    assertThat(dataset("data[0, 1, 2]").requireManifest().generations())
        .extracting(generation -> generation.reasons())
        .startsWith(
            reasons("in-validation-split", 5), reasons("in-test-split", 7), new TreeMap<>());
  }

  /** The hash of an image and a source may differ, and the rule is the same. */
  @Test
  void sourcesWithoutASplitGoByTheSameRule() throws IOException {
    table("a", 0, 20);
    long validation = 0;
    for (int image = 0; image < 20; image++) {
      validation += Layout.split(Identity.ofImage(png(image)), 0.5) == Split.VALIDATION ? 1 : 0;
    }
    assertThat(validation).isBetween(3L, 17L);

    ingest("set first", List.of(source("a", "train")));
    IngestResult auto = ingest("set first", List.of(source("a", "auto")));
    assertThat(auto.pairs()).isEqualTo(validation);
    assertThat(auto.leftOut()).isEqualTo(validation);
    assertThat(auto.reasons()).isEqualTo(reasons("duplicate", (int) (20 - validation)));

    ingest("auto first", List.of(source("a", "auto")));
    IngestResult set = ingest("auto first", List.of(source("a", "train")));
    assertThat(set.pairs()).isZero();
    assertThat(set.leftOut()).isZero();
    assertThat(set.reasons())
        .isEqualTo(
            reasons("duplicate", (int) (20 - validation), "in-validation-split", (int) validation));
    assertThat(captions("auto first")).isEqualTo(captions("set first"));
  }

  @Test
  void theSplitOfASourceThatWasReadMayChange() throws IOException {
    Path archive = folder.resolve("a.tar");
    try (OutputStream out = Files.newOutputStream(archive);
        TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
      for (int i = 0; i < 20; i++) {
        for (Map.Entry<String, byte[]> member :
            new TreeMap<>(
                    Map.of(".png", png(i), ".txt", ("image " + i).getBytes(StandardCharsets.UTF_8)))
                .entrySet()) {
          TarArchiveEntry entry = new TarArchiveEntry(i + member.getKey());
          entry.setSize(member.getValue().length);
          tar.putArchiveEntry(entry);
          tar.write(member.getValue());
          tar.closeArchiveEntry();
        }
      }
    }
    table("t", 0, 20);
    String tar = "{ format = webdataset, path = \"" + archive + "\"";
    Map<String, List<String>> kinds =
        Map.of(
            "tar", List.of(tar + " }", tar + ", split = test }", tar + ", split = train }"),
            "csv", List.of(source("t", "auto"), source("t", "test"), source("t", "train")));
    for (Map.Entry<String, List<String>> kind : kinds.entrySet()) {
      String dataset = kind.getKey();
      ingest(dataset, List.of(kind.getValue().get(0)));
      DatasetManifest before = dataset(dataset).requireManifest();
      assertThat(before.totals().test()).isZero();

      IngestResult moved = ingest(dataset, List.of(kind.getValue().get(1)));
      assertThat(moved.pairs()).isEqualTo(20);
      assertThat(moved.leftOut()).isEqualTo(20);
      assertThat(captions(dataset).get(Split.TEST)).isEqualTo(images(0, 20));
      DatasetManifest after = dataset(dataset).requireManifest();
      assertThat(after.totals().pairs()).isEqualTo(20);
      assertThat(after.generations().get(0).reasons()).isEqualTo(reasons("in-test-split", 20));
      assertThat(after.generations().get(0).sources().get(0).pairs()).isZero();
      assertThat(after.number()).isEqualTo(before.number() + 1);
      // A training that began goes on with its files.
      assertThat(dataset(dataset).present(before.files())).containsAll(before.files());

      IngestResult back = ingest(dataset, List.of(kind.getValue().get(2)));
      assertThat(back.pairs()).isZero();
      assertThat(back.reasons()).isEqualTo(reasons("in-test-split", 20));
    }
    // What was read to its end as it is, is not read again.
    assertThat(ingest("tar", List.of(tar + " }")).input()).isZero();
  }

  /** The image of a row of the dataset has another caption in the test split. */
  @Test
  void allRowsOfAnImageLeaveWithIt() throws IOException {
    table("a", "1 one", "1 two", "2 three", "3 four");
    ingest("data", List.of(source("a", "train")), "ingest.row-group-rows=1");
    table("b", "1 other");
    IngestResult result = ingest("data", List.of(source("b", "test")));
    assertThat(result.leftOut()).isEqualTo(2);
    assertThat(captions("data").get(Split.TRAIN)).containsExactly("four", "three");
    assertThat(captions("data").get(Split.TEST)).containsExactly("other");
  }

  @Test
  void imagesThatLookLikeOneOfTestAreRejectedAndThoseOfTestNever() throws IOException {
    byte[] pixels = SyntheticWorld.draw(SyntheticWorld.scene(9, 1), 64);
    for (int i = 0; i < 4; i++) {
      pixels[0] ^= 1;
      pixels[1] = (byte) i;
      Files.write(folder.resolve("images/like" + i + ".png"), Png.encode(pixels, 64, 64));
    }
    table("train", "like0 a", "2 b");
    table("test", "like1 c", "like2 d", "3 e");
    table("more", "like3 f", "4 g");
    for (List<String> sources :
        List.of(
            List.of(source("train", "train"), source("test", "test")),
            List.of(source("test", "test"), source("train", "train")))) {
      String dataset = "data" + sources.hashCode();
      IngestResult result = ingest(dataset, sources, "ingest.near-duplicate-bits=2");
      assertThat(result.reasons()).isEqualTo(reasons("near-duplicate", 1));
      assertThat(captions(dataset).get(Split.TEST)).containsExactly("c", "d", "e");
      assertThat(captions(dataset).get(Split.TRAIN)).containsExactly("b");
      IngestResult more =
          ingest(dataset, List.of(source("more", "test")), "ingest.near-duplicate-bits=2");
      assertThat(more.pairs()).isEqualTo(2);
    }
  }

  /** A job beside it commits while the rows are read: its work stays. */
  @Test
  void whatAnotherJobCommitsMeanwhileStays() throws IOException {
    table("a", 0, 10);
    ingest("data", List.of(source("a", "train")));
    DatasetManifest before = dataset("data").requireManifest();
    TokenizerManifest tokenizer =
        new TokenizerManifest(
            before.settings(),
            0,
            0,
            0,
            before.shards().stream().map(Shard::identity).toList(),
            "tokenizer/x",
            List.of());
    table("b", 9, 12);
    MEANWHILE.set(
        () -> {
          try {
            TestDataset.commit(dataset("data"), tokenizer);
          } catch (IOException e) {
            throw new UncheckedIOException(e);
          }
        });
    IngestResult result = ingest("data", List.of(source("b", "test")));
    assertThat(MEANWHILE).hasValue(null);
    assertThat(result.leftOut()).isEqualTo(1);
    DatasetManifest after = dataset("data").requireManifest();
    assertThat(after.number()).isEqualTo(before.number() + 2);
    // It was trained on the shard that is without the row now.
    assertThat(after.tokenizer())
        .isEqualTo(
            tokenizer.with(after.shards(Split.TRAIN).stream().map(Shard::identity).toList()));
  }

  @Test
  void compactedRowsOfTestStayInIt() throws IOException {
    table("a", "1 one", "1 one", "2 two", "3 three");
    table("b", "4 four", "4 four", "5 five");
    table("c", 10, 16);
    ingest("data", List.of(source("a", "test"), source("c", "train")));
    ingest("data", List.of(source("b", "test")));
    Map<String, String> before = byId(rows("data", Split.TEST));
    CompactResult result =
        CompactStage.run(LocalSpark.get(), settings("data", List.of(), "ingest.shard-rows=4"));
    assertThat(result.shards()).isEqualTo(4);
    assertThat(result.totals().test()).isEqualTo(7);
    assertThat(byId(rows("data", Split.TEST))).isEqualTo(before);
    assertThat(captions("data").get(Split.TRAIN)).isEqualTo(images(10, 16));
    assertThat(
            CompactStage.run(LocalSpark.get(), settings("data", List.of(), "ingest.shard-rows=4"))
                .generations())
        .isEqualTo(1);
  }

  private static Map<String, String> byId(List<Pair> rows) {
    Map<String, String> byId = new HashMap<>();
    rows.forEach(row -> assertThat(byId.put(row.id(), row.caption())).isNull());
    return byId;
  }

  @Test
  void aDatasetWithoutTestIsToldAsBefore() throws IOException {
    ingest("data", List.of("{ format = synthetic, pairs = 30 }"));
    assertThat(Files.readString(folder.resolve("data/_manifests/000000001.json")))
        .doesNotContain("test");
    assertThat(Files.readString(folder.resolve("data/card.html"))).contains(" for validation; ");
  }

  /** An earlier version knows no such split, and says that it cannot read the dataset. */
  @Test
  void anUnknownSplitIsRefused() throws IOException {
    table("a", 0, 3);
    ingest("data", List.of(source("a", "test")));
    Path manifest = folder.resolve("data/_manifests/000000001.json");
    TestDataset.replace(manifest, "\"split\": \"test\"", "\"split\": \"tset\"");
    assertThatThrownBy(() -> dataset("data").requireManifest())
        .isInstanceOf(IOException.class)
        .hasMessageContaining("It was written by another version");
  }

  @Test
  void aTestSplitHasNoWeight() {
    assertThatThrownBy(
            () ->
                settings(
                    "data", List.of("{ format = synthetic, pairs = 3, split = test, weight = 2 }")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("sources[0].weight")
        .hasMessageContaining(
            "it must be 1 where split = test, of which every row is there as it was published");
  }
}
