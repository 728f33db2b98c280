package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.sources.Png;
import io.github.kklip.ingest.sources.SyntheticWorld;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Supplier;
import java.util.stream.Stream;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.security.AccessControlException;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

@ExtendWith(LocalSpark.class)
class IngestStageTest {
  @TempDir Path folder;

  /** Datasets that were made beside the one called data. */
  private int others;

  @Test
  void aFolderGivesItsImagesWithTextsAndCountsTheRest() throws IOException {
    file("in/a.png", png(1));
    file("in/a.txt", text("  a red circle \n"));
    file("in/deep/b.png", png(2));
    file("in/deep/b.txt", text("a blue square"));
    file("in/c.png", png(3));
    file("in/d.png", png(4));
    file("in/d.txt", text("   \n "));
    file("in/e.png", png(5));
    file("in/e.txt", new byte[] {'n', (byte) 0xE9, 'e'});
    file("in/f.png", text("no image"));
    file("in/f.txt", text("broken"));
    file("in/g.png", Arrays.copyOf(png(6), png(6).length / 2));
    file("in/g.txt", text("cut"));
    file("in/readme.md", text("x"));
    file("in/lonely.txt", text("no image of this name"));

    IngestResult result = ingest(source("folder", "in"));

    assertThat(result.reasons())
        .isEqualTo(
            new TreeMap<>(
                Map.of(
                    "no-caption", 1L,
                    "caption-too-short", 1L,
                    "caption-encoding", 1L,
                    "image-undecodable", 1L,
                    "image-truncated", 1L)));
    assertThat(result)
        .extracting(
            IngestResult::input, IngestResult::pairs, IngestResult::rejects, IngestResult::ignored)
        .containsExactly(7L, 2L, 5L, 2L);
    List<Pair> pairs = pairs();
    assertThat(pairs)
        .extracting(Pair::caption)
        .containsExactlyInAnyOrder("a red circle", "a blue square");
    Pair red = pairs.stream().filter(p -> p.caption().startsWith("a red")).findFirst().get();
    assertThat(red.image()).isEqualTo(png(1));
    assertThat(red.imageId()).isEqualTo(Identity.ofImage(png(1)));
    assertThat(red.id()).isEqualTo(Identity.ofPair(red.imageId(), "a red circle"));
    assertThat(List.of(red.width(), red.height())).containsExactly(64, 64);
    assertThat(red.source()).endsWith("/in");
    assertThat(rejects())
        .extracting(Reject::key)
        .containsExactlyInAnyOrder("c.png", "d.png", "e.png", "f.png", "g.png");
  }

  @Test
  void archivesKeepSamplesTogetherAndUnzipMembers() throws IOException {
    file(
        "in/a.tar",
        tar(
            Map.entry("x/", new byte[0]),
            Map.entry("x/0.png", png(1)),
            Map.entry("x/0.txt.bak", text("no part of it")),
            Map.entry("x/0.json", text("{\"captions\": [\"one\", \"two\", \"one\", \" \"]}")),
            Map.entry("x/0.cls", text("3")),
            Map.entry("x/1.png.gz", gzip(png(2))),
            Map.entry("x/1.txt.gz", gzip(text("zipped"))),
            Map.entry("x/2.json", text("{\"caption\": null}")),
            Map.entry("x/2.png", png(3)),
            Map.entry("x/2.txt", text("falls back")),
            Map.entry("x/3.png", png(4)),
            Map.entry("x/4.png", png(5)),
            Map.entry("x/4.json", text("{")),
            Map.entry("x/5.txt", text("no image"))));

    IngestResult result = ingest(source("webdataset", "in/a.tar"));

    assertThat(pairs())
        .extracting(Pair::caption)
        .containsExactlyInAnyOrder("one", "two", "zipped", "falls back");
    assertThat(result.reasons())
        .isEqualTo(
            new TreeMap<>(
                Map.of(
                    "duplicate", 1L,
                    "caption-too-short", 1L,
                    "no-caption", 1L,
                    "json-malformed", 1L)));
    // The folder, the class, the copy of a text and the text without an image.
    assertThat(result.ignored()).isEqualTo(4);
    assertThat(result.ignoredKinds())
        .isEqualTo(new TreeMap<>(Map.of("other", 3L, "lone-texts", 1L)));
    assertThat(result.input()).isEqualTo(8);
    assertThat(rejects())
        .extracting(Reject::key)
        .contains("x/0.png caption 2", "x/3.png", "x/4.png x/4.json");
  }

  @Test
  void anArchiveThatIsCutKeepsWhatCameBefore() throws IOException {
    List<Map.Entry<String, byte[]>> members = new ArrayList<>();
    for (int i = 0; i < 20; i++) {
      members.add(Map.entry(i + ".png", png(i)));
      members.add(Map.entry(i + ".txt", text("caption " + i)));
    }
    @SuppressWarnings({"unchecked", "rawtypes"})
    byte[] whole = tar(members.toArray(new Map.Entry[0]));
    file("in/cut.tar", Arrays.copyOf(whole, whole.length / 2));
    file("in/cut.tgz", Arrays.copyOf(gzip(whole), gzip(whole).length / 2));
    file(
        "in/between.tar",
        Arrays.copyOf(tar(Map.entry("0.png", png(0)), Map.entry("0.txt", text("a"))), 4 * 512));
    file("in/garbage.tar", text("this is no archive"));
    file("in/empty.tar", new byte[0]);

    IngestResult result = ingest(source("webdataset", "in"));

    assertThat(result.reasons()).containsEntry("cut-short", 3L).containsEntry("unreadable", 2L);
    assertThat(result.pairs()).isBetween(5L, 12L);
    assertThat(result.input()).isEqualTo(result.pairs() + result.rejects());
    assertThat(rejects())
        .filteredOn(reject -> reject.reason().equals("unreadable"))
        .extracting(reject -> Path.of(reject.source()).getFileName().toString())
        .containsExactlyInAnyOrder("garbage.tar", "empty.tar");
  }

  @Test
  void aTableGivesPairsWithPathsRelativeToIt() throws IOException {
    file("in/images/a.png", png(1));
    file("in/images/b c.png", png(2));
    file(
        "in/t.csv",
        bytes(
            """
            filepath\ttitle\textra
            images/a.png\tone\t1
            images/a.png\t"quoted\ttab"\t2
            images/b c.png\tthree\t3
            images/gone.png\tfour\t4
            images/a.png\tbad \u00e9\t5
            images/a.png
            """));

    IngestResult result = ingest(source("csv", "in/t.csv"));

    assertThat(pairs())
        .extracting(Pair::caption)
        .containsExactlyInAnyOrder("one", "quoted tab", "three");
    assertThat(result.reasons())
        .isEqualTo(
            new TreeMap<>(Map.of("missing-file", 1L, "caption-encoding", 1L, "csv-malformed", 1L)));
  }

  @Test
  void aTableOfManyRowsIsReadInPieces() throws IOException {
    StringBuilder table = new StringBuilder("caption,image\r\n");
    for (int i = 0; i < 1200; i++) {
      table.append("\"row ").append(i).append("\nof, many\",i").append(i % 3).append(".png\r\n");
    }
    for (int i = 0; i < 3; i++) {
      file("in/i" + i + ".png", png(i));
    }
    file("in/t.csv", bytes(table.toString()));

    IngestResult result =
        ingest(source("csv", "in/t.csv", "image-column = image, caption-column = caption"));

    assertThat(result.pairs()).isEqualTo(1200);
    assertThat(new HashSet<>(pairs().stream().map(Pair::caption).toList()))
        .hasSize(1200)
        .contains("row 0 of, many", "row 511 of, many", "row 512 of, many", "row 1199 of, many");
  }

  @Test
  void aSourceWithoutTheColumnsIsAnErrorThatNamesThem() throws IOException {
    file("in/t.csv", bytes("url,text\nx,y\n"));

    assertThatThrownBy(() -> ingest(source("csv", "in/t.csv")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("t.csv the table has the columns [url, text]")
        .hasMessageContaining("filepath and title are needed: set image-column")
        .hasMessageContaining("Check kklip.ingest.sources[0], a csv source");
    assertThat(folder.resolve("data/_manifests")).doesNotExist();
    assertThat(folder.resolve("data/_work")).doesNotExist();
  }

  @Test
  void otherSourcesAreCommittedBesideOneWithoutTheColumns() throws IOException {
    file("a/a.png", png(1));
    file("a/a.txt", text("one"));
    file("in/t.jsonl", text("{\"image\": \"../a/a.png\", \"alt\": \"two\"}\n"));
    String bad = "{format = jsonl, path = \"" + folder.resolve("in/t.jsonl") + "\"";
    String good = "{format = folder, path = \"" + folder.resolve("a") + "\"}";

    assertThatThrownBy(() -> ingest("ingest.sources=[" + bad + "}, " + good + "]"))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("[image, alt]")
        .hasMessageContaining("kklip.ingest.sources[0], a jsonl source");
    assertThat(pairs()).extracting(Pair::caption).containsExactly("one");
    assertThat(rejects()).extracting(Reject::reason).containsExactly("schema");

    ingest(
        "ingest.sources=[" + bad + ", image-column = image, caption-column = alt}, " + good + "]");
    assertThat(pairs()).extracting(Pair::caption).containsExactlyInAnyOrder("one", "two");
  }

  @Test
  void aFileWithoutTheColumnsBesideOneWithThemIsAReject() throws IOException {
    file("in/a.png", png(1));
    file("in/t.csv", text("filepath,title\na.png,one\n"));
    file("in/u.csv", text("url,text\nx,y\n"));

    IngestResult result = ingest(source("csv", "in"));

    assertThat(result.pairs()).isEqualTo(1);
    assertThat(result.reasons()).isEqualTo(new TreeMap<>(Map.of("schema", 1L)));
  }

  @Test
  void parquetFilesOfBothLayoutsGiveTheirRows() throws IOException {
    for (String name : List.of("img2dataset", "huggingface")) {
      try (InputStream golden =
          IngestStageTest.class.getResourceAsStream("/golden/ingest/" + name + ".parquet")) {
        file("in/" + name + ".parquet", golden.readAllBytes());
      }
    }
    file("in/garbage.parquet", text("PAR1 and nothing else"));

    IngestResult result = ingest(source("parquet", "in"));

    assertThat(pairs())
        .extracting(Pair::caption)
        .containsExactlyInAnyOrder("a red square", "a green square", "red", "a red area", "green");
    assertThat(result.reasons())
        .isEqualTo(new TreeMap<>(Map.of("no-image", 2L, "no-caption", 1L, "unreadable", 1L)));
    assertThat(rejects())
        .extracting(Reject::key)
        .contains("row group 0 row 2", "row group 1 row 0");
  }

  @Test
  void parquetFilesWithoutTheColumnsAreAnErrorThatNamesThem() throws IOException {
    file("in/a.png", png(1));
    file("in/a.txt", text("one"));
    ingest(source("folder", "in"));

    assertThatThrownBy(
            () -> ingestTo("other", source("parquet", "data/pairs", "image-column = caption2")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("none is caption2 with bytes: set image-column");
  }

  @Test
  void pairsOfADatasetAreASourceThemselves() throws IOException {
    file("in/a.png", png(1));
    file("in/a.txt", text("one"));
    ingest(source("folder", "in"));

    IngestResult result = ingestTo("other", source("parquet", "data/pairs"));

    assertThat(result.pairs()).isEqualTo(1);
  }

  @Test
  void sparkReadsTheFiles() throws IOException {
    file("in/a.png", png(1));
    file("in/a.txt", text("one"));
    file("in/b.png", png(2));
    ingest(source("folder", "in"));

    SparkSession session = SparkSession.builder().sparkContext(LocalSpark.get().sc()).getOrCreate();
    var pairs = session.read().parquet(folder.resolve("data/pairs/1").toString());
    assertThat(pairs.schema().simpleString())
        .isEqualTo(
            "struct<id:string,image_id:string,caption:string,image:binary,width:int,height:int,source:string,split:string>");
    assertThat(pairs.collectAsList().get(0).getString(2)).isEqualTo("one");
    var rejects = session.read().parquet(folder.resolve("data/rejects").toString());
    assertThat(rejects.collectAsList().get(0).getString(2)).isEqualTo("no-caption");
  }

  @Test
  void imagesOutsideTheLimitsAreRejected() throws IOException {
    file("in/small.png", Png.encode(new byte[3 * 8 * 8], 8, 8));
    file("in/long.png", Png.encode(new byte[3 * 400 * 20], 400, 20));
    file("in/bomb.png", hugeHeader());
    for (String name : List.of("small", "long", "bomb")) {
      file("in/" + name + ".txt", text("a caption"));
    }
    file("in/heavy.png", new byte[5000]);
    file("in/heavy.txt", text("too many bytes"));

    IngestResult result = ingest("ingest.max-bytes=4096", source("folder", "in"));

    assertThat(result.reasons())
        .isEqualTo(
            new TreeMap<>(
                Map.of(
                    "image-too-small", 1L,
                    "aspect-ratio", 1L,
                    "image-too-large", 1L,
                    "member-too-large", 1L)));
  }

  @Test
  void equalWorkGivesEqualBytesWhateverTheTasks() throws IOException {
    String synthetic = "ingest.sources=[{format = synthetic, pairs = 300}]";
    ingestTo("one", synthetic, "ingest.shard-rows=100", "ingest.validation-fraction=0.1");
    ingestTo(
        "two",
        "ingest.sources=[{format = synthetic, pairs = 300}]",
        "ingest.shard-rows=100",
        "ingest.validation-fraction=0.1");

    Map<String, byte[]> one = files("one");
    Map<String, byte[]> two = files("two");
    assertThat(one.keySet()).isEqualTo(two.keySet()).contains("_manifests/000000001.json");
    one.forEach((name, bytes) -> assertThat(two.get(name)).as(name).isEqualTo(bytes));
  }

  @Test
  void shardsAreShuffledSplitByImageAndNoLargerThanAsked() throws IOException {
    IngestResult result =
        ingest(
            "ingest.sources=[{format = synthetic, pairs = 400}]",
            "ingest.shard-rows=150",
            "ingest.validation-fraction=0.2");

    DatasetManifest manifest = dataset().requireManifest();
    assertThat(manifest.rows(Split.TRAIN) + manifest.rows(Split.VALIDATION))
        .isEqualTo(result.pairs());
    assertThat(manifest.shards())
        .allSatisfy(shard -> assertThat(shard.rows()).isBetween(70L, 150L));
    assertThat(manifest.rows(Split.VALIDATION)).isBetween(110L, 210L);
    Map<Split, Set<String>> images = new HashMap<>();
    for (Split split : Split.values()) {
      images.put(split, new HashSet<>());
      for (Shard shard : manifest.shards(split)) {
        read(shard).forEach(pair -> images.get(split).add(pair.imageId()));
      }
    }
    assertThat(images.get(Split.TRAIN)).doesNotContainAnyElementsOf(images.get(Split.VALIDATION));
    // Shuffled: neighbours are not captions of one image, as they are in the source.
    List<Pair> first = read(manifest.shards(Split.TRAIN).get(0));
    long together = 0;
    for (int i = 1; i < first.size(); i++) {
      together += first.get(i).imageId().equals(first.get(i - 1).imageId()) ? 1 : 0;
    }
    assertThat(together).isLessThan(5);
  }

  @Test
  void aPageThatIsMissingIsMadeAgainThoughNothingIsNew() throws IOException {
    file("in/a.tar", tar(Map.entry("0.png", png(0)), Map.entry("0.txt", text("one"))));
    ingest(source("webdataset", "in"));
    DatasetManifest made = dataset().requireManifest();
    Path card = folder.resolve("data").resolve("card.html");
    byte[] page = Files.readAllBytes(card);
    Files.delete(card);
    ingest(source("webdataset", "in"));
    assertThat(card).hasBinaryContent(page);
    Files.writeString(card, "of before");
    ingest(source("webdataset", "in"));
    assertThat(card).hasContent("of before");
    assertThat(dataset().requireManifest()).isEqualTo(made);
  }

  @Test
  void aSecondRunAddsOnlyWhatIsNew() throws IOException {
    file("in/a.png", png(1));
    file("in/a.txt", text("one"));
    ingest(source("folder", "in"));
    IngestResult again = ingest(source("folder", "in"));

    assertThat(again.pairs()).isZero();
    assertThat(again.reasons()).isEqualTo(new TreeMap<>(Map.of("duplicate", 1L)));
    // What was looked at is counted, also when nothing of it is new.
    assertThat(dataset().requireManifest().totals().input()).isEqualTo(2);
    assertThat(rejects()).hasSize(1);

    file("in/b.png", png(2));
    file("in/b.txt", text("two"));
    IngestResult more = ingest(source("folder", "in"));

    assertThat(more.pairs()).isEqualTo(1);
    DatasetManifest manifest = dataset().requireManifest();
    assertThat(manifest.generations()).hasSize(3);
    assertThat(manifest.shards()).extracting(Shard::index).containsExactly(0, 1);
    assertThat(manifest.totals().input()).isEqualTo(4);
    assertThat(pairs()).extracting(Pair::caption).containsExactly("one", "two");
  }

  @Test
  void linksAreConfinedToTheFolderAndEachThatIsNotFollowedIsAReject() throws IOException {
    file("secret.txt", text("a secret of the machine"));
    file("outside/o.png", png(9));
    file("outside/o.txt", text("outside"));
    file("in/a.png", png(1));
    link("in/a.txt", "../secret.txt");
    file("in/deep/b.png", png(2));
    file("in/deep/b.txt", text("inside"));
    link("in/c.png", "deep/b.png");
    link("in/c.txt", "deep/b.txt");
    link("in/self", ".");
    link("in/deep/up", "..");
    link("in/out", "../outside");
    link("in/gone.png", "nowhere.png");
    link("named", "in");

    IngestResult result = ingest(source("folder", "named"));
    assertThat(pairs()).extracting(Pair::caption).containsExactly("inside");
    assertThat(result.reasons()).isEqualTo(new TreeMap<>(Map.of("link", 5L, "duplicate", 1L)));
    assertThat(rejects().stream().filter(r -> r.reason().equals("link")))
        .extracting(Reject::key)
        .containsExactlyInAnyOrder("a.png a.txt", "self", "deep/up", "out", "gone.png");
    assertThat(rejects())
        .extracting(Reject::detail)
        .anyMatch(detail -> detail.contains("Set follow-links = true for this source"))
        .anyMatch(detail -> detail.equals("the link leads nowhere"))
        .noneMatch(detail -> detail.contains("a secret of"));

    String followed =
        "ingest.sources=[{format=folder, follow-links=true, path=\""
            + folder.resolve("in")
            + "\"}]";
    ingestTo("followed", followed);
    DatasetFolder other =
        new DatasetFolder(folder.resolve("followed").toString(), new Configuration());
    assertThat(other.requireManifest().totals().reasons())
        .isEqualTo(new TreeMap<>(Map.of("link", 3L, "duplicate", 1L)));
    assertThat(other.requireManifest().totals().pairs()).isEqualTo(3);
  }

  @Test
  void aFileWhoseNameIsNoTextIsAReject() throws Exception {
    file("in/caf\u00e9.png", png(1));
    file("in/caf\u00e9.txt", text("a name in UTF-8"));
    // The same name in Latin-1.
    Process copy =
        new ProcessBuilder("sh", "-c", "cp in/caf*.png \"in/$(printf 'caf\\351.png')\"")
            .directory(folder.toFile())
            .start();
    assertThat(copy.waitFor()).isZero();

    assertThat(ingest(source("folder", "in")).reasons())
        .isEqualTo(new TreeMap<>(Map.of("name-encoding", 1L)));
    assertThat(pairs()).extracting(Pair::caption).containsExactly("a name in UTF-8");
    assertThat(rejects())
        .extracting(Reject::key, Reject::detail)
        .containsExactly(
            tuple(
                "caf\ufffd.png",
                "the name of the file is not in UTF-8, the encoding of this process (sun.jnu.encoding): rename it to UTF-8"));
  }

  @Test
  void archivesThatLinksLeadToAreConfinedToo() throws IOException {
    file("in/a.tar", tar(Map.entry("0.png", png(0)), Map.entry("0.txt", text("one"))));
    file("cache/b.tar", tar(Map.entry("1.png", png(1)), Map.entry("1.txt", text("two"))));
    link("in/b.tar", "../cache/b.tar");
    link("snapshot.tar", "cache/b.tar");

    assertThat(ingest(source("webdataset", "in")).reasons())
        .isEqualTo(new TreeMap<>(Map.of("link", 1L)));
    assertThat(pairs()).extracting(Pair::caption).containsExactly("one");
    // A path that a person names is followed: Hugging Face's cache is made of links.
    assertThat(ingest(source("webdataset", "snapshot.tar")).pairs()).isEqualTo(1);
  }

  private void link(String name, String target) throws IOException {
    Path link = folder.resolve(name);
    Files.createDirectories(link.getParent());
    Files.createSymbolicLink(link, Path.of(target));
  }

  @Test
  void otherSettingsAreRefusedByName() throws IOException {
    file("in/a.png", png(1));
    file("in/a.txt", text("one"));
    ingest(source("folder", "in"));

    assertThatThrownBy(() -> ingest("ingest.min-side=17", source("folder", "in")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining(
            "it was made with other settings: ingest.min-side was 16 and is now 17");
  }

  @Test
  void emptyAndMissingSourcesAreErrors() throws IOException {
    Files.createDirectories(folder.resolve("in"));

    assertThatThrownBy(() -> ingest(source("webdataset", "nowhere")))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("there is no such file or folder. Check kklip.ingest.sources[0]");
    assertThatThrownBy(() -> ingest(source("webdataset", "in")))
        .hasMessageContaining("the folder holds no file that ends in [.tar, .tar.gz, .tgz, ");
    assertThatThrownBy(() -> ingest(source("folder", "in"))).hasMessageContaining("it is empty");
    assertThat(folder.resolve("data")).as("nothing is left behind").doesNotExist();
    file("in/t.csv", bytes("filepath\ttitle\n"));
    assertThatThrownBy(() -> ingest(source("csv", "in/t.csv"))).hasMessageContaining("it is empty");
    assertThat(folder.resolve("data/_manifests")).doesNotExist();
  }

  @Test
  void aPathWithAPasswordIsRefusedWithoutShowingIt() {
    for (String source :
        List.of(
            "{format=webdataset, path=\"s3a://key:very-private@bucket/in/{000..010}.tar\"}",
            "{format=parquet, path=\"s3a://key:very%2Fprivate@bucket/in\"}")) {
      assertThatThrownBy(() -> ingest("ingest.sources=[" + source + "]"))
          .isInstanceOf(SettingsException.class)
          .hasMessageStartingWith("Cannot use the path s3a://bucket/in")
          .hasMessageNotContaining("private");
    }
  }

  @Test
  void aRunThatWasKilledIsDoneAgainAndEndsTheSame() throws IOException {
    String synthetic = "ingest.sources=[{format = synthetic, pairs = 20}]";
    ingestTo("whole", synthetic);
    // What a run of other work leaves that is killed before its manifest, and a person's file.
    Map<String, String> strangers =
        Map.of(
            "_work/of-other-work/work.json", "{\"generation\": 0}",
            "pairs/1/train-00000-0123456789abcdef0123456789abcdef.parquet", "of other sources",
            "pairs/1/train-00007.parquet", "of more sources",
            "pairs/1/.train-00000.parquet.1.unfinished", "half",
            "rejects/00000-train-00003.parquet", "stray",
            "pairs/notes.txt", "of a person");
    for (Map.Entry<String, String> stranger : strangers.entrySet()) {
      file("data/" + stranger.getKey(), text(stranger.getValue()));
    }

    ingest(synthetic);

    Map<String, byte[]> redone = files("data");
    strangers.forEach((name, text) -> assertThat(redone.remove(name)).isEqualTo(text(text)));
    Map<String, byte[]> whole = files("whole");
    assertThat(redone.keySet()).isEqualTo(whole.keySet());
    whole.forEach((name, bytes) -> assertThat(redone.get(name)).as(name).isEqualTo(bytes));
  }

  /** A dataset whose manifests were lost is not an unfinished run. */
  @Test
  void shardsThatNoUnfinishedRunLeftAreRefusedAndStay() throws IOException {
    String synthetic = "ingest.sources=[{format = synthetic, pairs = 20}]";
    file("in/a.png", png(1));
    file("in/a.txt", text("one"));
    file("in/b.png", png(2));
    ingest(synthetic);
    ingest(source("folder", "in"));
    Map<String, byte[]> before = files("data");

    // An older manifest counts again: the run is made again, and nothing else is touched.
    Files.delete(folder.resolve("data/_manifests/000000002.json"));
    ingest(source("folder", "in"));
    assertUnchanged(before);

    Files.delete(folder.resolve("data/_manifests/000000001.json"));
    Files.delete(folder.resolve("data/_manifests/000000002.json"));
    before.keySet().removeIf(name -> name.startsWith("_manifests"));
    for (String work : List.of("", "{\"generation\": 1}")) {
      if (!work.isEmpty()) {
        file("data/_work/of-a-second-run/work.json", text(work));
        before.put("_work/of-a-second-run/work.json", text(work));
      }
      assertThatThrownBy(() -> ingest(synthetic))
          .isInstanceOf(SettingsException.class)
          .hasMessageStartingWith(
              "Cannot ingest into file:"
                  + folder.resolve("data")
                  + " because it has no manifest but 2 files in file:")
          .hasMessageContaining("that no unfinished run left, the first is train-0000")
          .hasMessageEndingWith(
              "Nothing was changed. Put back the folder _manifests that names them, or set dataset"
                  + " to another folder, or move them away.");
      assertUnchanged(before);
    }
  }

  private void assertUnchanged(Map<String, byte[]> before) throws IOException {
    Map<String, byte[]> after = files("data");
    assertThat(after.keySet()).isEqualTo(before.keySet());
    before.forEach((name, bytes) -> assertThat(after.get(name)).as(name).isEqualTo(bytes));
  }

  @Test
  void aDatasetThatAnotherJobWritesIsRefused() throws IOException {
    org.apache.hadoop.fs.Path root = dataset().root();
    try (Lease lease =
        Lease.acquire(new Configuration(), root, "embed", java.time.Duration.ofMinutes(1))) {
      lease.check();
      assertThatThrownBy(() -> ingest("ingest.sources=[{format = synthetic, pairs = 20}]"))
          .hasMessageContaining("because the job embed on ");
    }
    assertThat(folder.resolve("data")).doesNotExist();
  }

  @Test
  void aFileSystemThatFailsIsAnErrorAndNoReject() throws IOException {
    file("in/a.tar", tar(Map.entry("0.png", png(0)), Map.entry("0.txt", text("one"))));
    FailingStore.failing = true;
    LocalSpark.get()
        .hadoopConfiguration()
        .setClass("fs.gs.impl", FailingStore.class, RawLocalFileSystem.class);
    String source =
        "ingest.sources=[{format = webdataset, path = \"gs://b"
            + folder.resolve("in/a.tar")
            + "\"}]";

    assertThatThrownBy(() -> ingest(source))
        .hasStackTraceContaining("a.tar because the file system failed: the store is away");
    assertThat(folder.resolve("data/_manifests")).doesNotExist();

    FailingStore.failing = false;
    assertThat(ingest(source).pairs()).isEqualTo(1);
  }

  /** Whichever time the store fails, and however: nothing is rejected for it or taken as read. */
  @Test
  void aStoreThatFailsOnceLosesNoRow() throws IOException {
    LocalSpark.get()
        .hadoopConfiguration()
        .setClass("fs.flaky.impl", FlakyStore.class, RawLocalFileSystem.class);
    try (InputStream golden =
        IngestStageTest.class.getResourceAsStream("/golden/ingest/img2dataset.parquet")) {
      file("in/a.parquet", golden.readAllBytes());
    }
    file("in/a.tar", tar(Map.entry("0.png", png(0)), Map.entry("0.txt", text("one"))));
    file("in/f/a.png", png(1));
    file("in/f/a.txt", text("one"));
    file("in/t.csv", text("filepath,title\nf/a.png,one\n"));
    Map<String, String> formats =
        Map.of("parquet", "a.parquet", "webdataset", "a.tar", "folder", "f", "csv", "t.csv");
    for (Map.Entry<String, String> format : formats.entrySet()) {
      String source =
          "ingest.sources=[{format = %s, path = \"flaky://b%s\"}]"
              .formatted(format.getKey(), folder.resolve("in").resolve(format.getValue()));
      failAtEachOperation(source, () -> new IOException("the store is away"));
      FlakyStore.reads = false;
      failAtEachOperation(source, () -> new FileNotFoundException("the store has lost it"));
      failAtEachOperation(source, () -> new AccessControlException("the store refuses"));
      FlakyStore.reads = true;
    }
  }

  private void failAtEachOperation(String source, Supplier<IOException> failure)
      throws IOException {
    FlakyStore.failure = failure;
    int failed = 0;
    while (true) {
      String data = "data-" + others++;
      FlakyStore.left.set(failed);
      IngestResult result;
      try {
        result = ingestTo(data, source);
      } catch (Exception e) {
        assertThat(e)
            .hasStackTraceContaining("Cannot read flaky://b" + folder.resolve("in"))
            .hasStackTraceContaining(
                "because the file system failed: " + failure.get().getMessage());
        assertThat(folder.resolve(data).resolve("_manifests")).doesNotExist();
        assertThat(folder.resolve(data).resolve("sources")).doesNotExist();
        failed++;
        continue;
      }
      assertThat(FlakyStore.left.get()).as("operations that were left").isNotNegative();
      assertThat(failed).isPositive();
      assertThat(result.pairs()).isPositive();
      assertThat(result.reasons()).doesNotContainKeys("unreadable", "missing-file", "cut-short");
      return;
    }
  }

  /** A store that does some operations, and then none. */
  public static final class FlakyStore extends RawLocalFileSystem {
    static final AtomicInteger left = new AtomicInteger();
    static volatile Supplier<IOException> failure;

    /** Whether reading counts too, or only opening. */
    static volatile boolean reads = true;

    @Override
    public URI getUri() {
      return URI.create("flaky://b");
    }

    /** The local one asks for permissions, which is not possible under another scheme. */
    @Override
    public FileStatus[] listStatus(org.apache.hadoop.fs.Path path) throws IOException {
      return Arrays.stream(super.listStatus(path))
          .map(
              s ->
                  new FileStatus(
                      s.getLen(),
                      s.isDirectory(),
                      1,
                      1 << 20,
                      s.getModificationTime(),
                      s.getPath()))
          .toArray(FileStatus[]::new);
    }

    static void count() throws IOException {
      if (left.getAndDecrement() <= 0) {
        throw failure.get();
      }
    }

    @Override
    public FSDataInputStream open(org.apache.hadoop.fs.Path path, int bufferSize)
        throws IOException {
      count();
      return new FSDataInputStream(new Flaky(super.open(path, bufferSize)));
    }
  }

  private static final class Flaky extends FSInputStream {
    private final FSDataInputStream in;

    Flaky(FSDataInputStream in) {
      this.in = in;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      if (FlakyStore.reads) {
        FlakyStore.count();
      }
      return in.read(into, offset, length);
    }

    @Override
    public void seek(long to) throws IOException {
      in.seek(to);
    }

    @Override
    public long getPos() throws IOException {
      return in.getPos();
    }

    @Override
    public boolean seekToNewSource(long target) {
      return false;
    }

    @Override
    public void close() throws IOException {
      in.close();
    }
  }

  /** A store that lists its files and, for a time, fails to give their bytes. */
  public static final class FailingStore extends RawLocalFileSystem {
    static volatile boolean failing;

    @Override
    public URI getUri() {
      return URI.create("gs://b");
    }

    @Override
    public FSDataInputStream open(org.apache.hadoop.fs.Path path, int bufferSize)
        throws IOException {
      byte[] bytes = Files.readAllBytes(Path.of(path.toUri().getPath()));
      return new FSDataInputStream(new Broken(bytes));
    }
  }

  private static final class Broken extends FSInputStream {
    private final byte[] bytes;
    private int position;

    Broken(byte[] bytes) {
      this.bytes = bytes;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] into, int offset, int length) throws IOException {
      if (FailingStore.failing && position + length > 600) {
        throw new IOException("the store is away");
      }
      int count = Math.min(length, bytes.length - position);
      if (count <= 0) {
        return length == 0 ? 0 : -1;
      }
      System.arraycopy(bytes, position, into, offset, count);
      position += count;
      return count;
    }

    @Override
    public void seek(long to) {
      position = (int) to;
    }

    @Override
    public long getPos() {
      return position;
    }

    @Override
    public boolean seekToNewSource(long target) {
      return false;
    }
  }

  private IngestResult ingest(String... assignments) throws IOException {
    return ingestTo("data", assignments);
  }

  private IngestResult ingestTo(String name, String... assignments) throws IOException {
    List<String> all = new ArrayList<>(List.of(assignments));
    all.add("dataset=" + folder.resolve(name));
    if (all.stream().noneMatch(a -> a.contains("validation-fraction"))) {
      all.add("ingest.validation-fraction=0");
    }
    IngestResult result = IngestStage.run(LocalSpark.get(), Settings.load(List.of(), all));
    assertThat(result.input()).isEqualTo(result.pairs() + result.rejects());
    return result;
  }

  @Test
  void anImageWithSeveralCaptionsIsStoredOnceInBlocksWithoutARepeat() throws IOException {
    String captions = "{\"captions\": [\"a\", \"b\", \"a\", \"c\", \"d\", \"e\"]}";
    for (int i = 0; i < 40; i++) {
      file(
          "in/" + i + ".tar", tar(Map.entry("0.png", png(i)), Map.entry("0.json", text(captions))));
    }

    IngestResult result =
        ingest(
            source("webdataset", "in", "caption-column = captions"),
            "ingest.shard-rows=90",
            "ingest.row-group-rows=16",
            "ingest.validation-fraction=0");

    assertThat(result.pairs()).isEqualTo(200);
    assertThat(result.reasons()).isEqualTo(new TreeMap<>(Map.of("duplicate", 40L)));
    List<Shard> shards = dataset().requireManifest().shards();
    assertThat(shards).hasSize(3);
    long stored = 0;
    for (Shard shard : shards) {
      List<Pair> rows = read(shard);
      int start = 0;
      for (int size : shard.blockRows()) {
        assertThat(size).isLessThanOrEqualTo(16);
        assertThat(rows.subList(start, start + size).stream().map(Pair::imageId))
            .doesNotHaveDuplicates();
        start += size;
      }
      assertThat(start).isEqualTo(rows.size());
      stored += Files.size(Path.of(dataset().pairs(shard).toUri().getPath()));
    }
    Map<String, Integer> images = new HashMap<>();
    pairs().forEach(pair -> images.put(pair.imageId(), pair.image().length));
    long once = images.values().stream().mapToLong(Integer::longValue).sum();
    assertThat(images).hasSize(40);
    // Two images at the ends of shards stand in both; each row has 150 bytes beside its image.
    assertThat(stored).isLessThan(once + 2L * png(0).length + 200 * 150 + 3 * 8_000);
  }

  private String source(String format, String path, String... more) {
    return "ingest.sources=[{format = "
        + format
        + ", path = \""
        + folder.resolve(path)
        + "\""
        + (more.length == 0 ? "" : ", " + more[0])
        + "}]";
  }

  private DatasetFolder dataset() {
    return new DatasetFolder(folder.resolve("data").toString(), new Configuration());
  }

  private List<Pair> pairs() throws IOException {
    List<Pair> pairs = new ArrayList<>();
    for (Shard shard : dataset().requireManifest().shards()) {
      List<Pair> rows = read(shard);
      assertThat(rows).hasSize((int) shard.rows());
      pairs.addAll(rows);
    }
    return pairs;
  }

  private List<Pair> read(Shard shard) throws IOException {
    List<Pair> pairs = new ArrayList<>();
    try (ShardReader<Pair> reader =
        ShardReader.open(new Configuration(), dataset().pairs(shard), PairFormat.ALL)) {
      assertThat(reader.identity()).isEqualTo(shard.identity());
      for (int group = 0; group < reader.rowGroups(); group++) {
        pairs.addAll(reader.readGroup(group));
      }
    }
    return pairs;
  }

  private List<Reject> rejects() throws IOException {
    List<Reject> rejects = new ArrayList<>();
    for (DatasetManifest.Generation generation : dataset().requireManifest().generations()) {
      for (String name : generation.rejectFiles()) {
        try (ShardReader<Reject> reader =
            ShardReader.open(new Configuration(), dataset().file(name), new RejectFormat())) {
          for (int group = 0; group < reader.rowGroups(); group++) {
            rejects.addAll(reader.readGroup(group));
          }
        }
      }
    }
    return rejects;
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

  private void file(String name, byte[] bytes) throws IOException {
    Path path = folder.resolve(name);
    Files.createDirectories(path.getParent());
    Files.write(path, bytes);
  }

  private static byte[] text(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static byte[] bytes(String latin1) {
    return latin1.getBytes(StandardCharsets.ISO_8859_1);
  }

  private static byte[] png(long index) {
    return Png.encode(SyntheticWorld.draw(SyntheticWorld.scene(9, index), 64), 64, 64);
  }

  /** A header of 40,000 x 40,000 pixels over the data of a small picture. */
  private static byte[] hugeHeader() {
    byte[] png = Png.encode(new byte[3 * 4], 2, 2);
    ByteBuffer.wrap(png).putInt(16, 40_000).putInt(20, 40_000);
    java.util.zip.CRC32 crc = new java.util.zip.CRC32();
    crc.update(png, 12, 17);
    ByteBuffer.wrap(png).putInt(29, (int) crc.getValue());
    return png;
  }

  private static byte[] gzip(byte[] bytes) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (OutputStream zip = new GZIPOutputStream(out)) {
      zip.write(bytes);
    }
    return out.toByteArray();
  }

  @SafeVarargs
  private static byte[] tar(Map.Entry<String, byte[]>... members) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
      for (Map.Entry<String, byte[]> member : members) {
        TarArchiveEntry entry = new TarArchiveEntry(member.getKey());
        entry.setSize(member.getValue().length);
        tar.putArchiveEntry(entry);
        tar.write(member.getValue());
        tar.closeArchiveEntry();
      }
    }
    return out.toByteArray();
  }
}
