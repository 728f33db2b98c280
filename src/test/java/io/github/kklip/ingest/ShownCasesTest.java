package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.SharedData;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/**
 * What ingest makes of the inputs that once failed, where they are present beside the project: the
 * pairs, the rejects by reason and what is ignored by kind.
 */
@ExtendWith(LocalSpark.class)
class ShownCasesTest {
  /** Folders of models and of classes, which are not ingested: OddModelsTest, ZeroShotTest. */
  private static final List<String> ELSEWHERE = List.of("S01", "S05", "T03a", "T05", "V01.tar");

  private static final List<String> HERE =
      List.of(
          "I01", "I03", "I05", "I06", "I08", "I10", "I13", "I16", "I17", "I21", "I25", "I27.tar",
          "I29", "I30", "I35", "I36", "I39");

  @TempDir Path folder;

  private int runs;
  private IngestResult result;
  private final List<Pair> pairs = new ArrayList<>();
  private final List<Reject> rejects = new ArrayList<>();

  @Test
  void eachRowOfTheListHasATest() throws IOException {
    TreeSet<String> known = new TreeSet<>(ELSEWHERE);
    known.addAll(HERE);
    assertThat(
            Files.readAllLines(SharedData.shownCase("README.md")).stream()
                .filter(line -> line.matches("\\| [A-Z]\\d.*"))
                .map(line -> line.substring(2, line.indexOf(' ', 2))))
        .isNotEmpty()
        .isSubsetOf(known);
  }

  @Test
  void archivesWithMoreThanPicturesAndTexts() throws IOException {
    ingest("webdataset", "I01/mac.tar");
    outcome(3, Map.of(), Map.of("clutter", 6L));
    ingest("webdataset", "I03/recap.tar");
    outcome(2, Map.of(), Map.of());
    assertThat(captions()).noneMatch(caption -> caption.contains("OCR"));
    ingest("webdataset", "I03/recap.tar", "caption-column = text");
    outcome(2, Map.of(), Map.of("other", 2L));
    assertThat(captions()).anyMatch(caption -> caption.contains("OCR"));
    ingest("webdataset", "I05/multi.tar");
    outcome(2, Map.of(), Map.of("other-pictures", 4L));
    assertThat(pairs).allMatch(pair -> pair.image()[0] == (byte) 0xFF);
    ingest("webdataset", "I05/multi.tar", "image-column = depth.png");
    outcome(2, Map.of(), Map.of("other-pictures", 4L));
    assertThat(pairs).allMatch(pair -> pair.image()[1] == 'P');
    ingest("webdataset", "I06/dots.tar");
    outcome(4, Map.of(), Map.of());
    assertThat(captions()).doesNotHaveDuplicates();
  }

  @Test
  void namesOfMembersAreBytes() throws IOException {
    for (String name : List.of("latin1", "pax", "gnu")) {
      ingest("webdataset", "I08/" + name + ".tar");
      outcome(2, Map.of(), Map.of());
      assertThat(captions()).doesNotHaveDuplicates();
      assertThat(pairs).extracting(Pair::imageId).doesNotHaveDuplicates();
    }
  }

  @Test
  void archivesOfOtherPackingsAndMakes() throws IOException {
    for (String packing : List.of("zst", "bz2", "xz")) {
      ingest("webdataset", "I10/s.tar." + packing);
      outcome(1, Map.of(), Map.of());
    }
    ingest("webdataset", "I35/links.tar");
    outcome(2, Map.of(), Map.of());
    ingest("webdataset", "I36/cat.tar");
    outcome(2, Map.of(), Map.of());
  }

  @Test
  void formatsOfImagesAreReadOrNamed() throws IOException {
    ingest("webdataset", "I29/formats.tar");
    outcome(5, Map.of("image-unsupported", 5L), Map.of());
    assertThat(details())
        .anyMatch(detail -> detail.contains("AVIF"))
        .anyMatch(detail -> detail.contains("JPEG XL"))
        .anyMatch(detail -> detail.contains("JPEG 2000"))
        .anyMatch(detail -> detail.contains("SVG"));
  }

  @Test
  void aFolderOfOddNames() throws IOException {
    Path unpacked = unpack("I27.tar").resolve("f");
    run("folder", unpacked);
    outcome(
        21,
        Map.of("caption-encoding", 1L, "image-undecodable", 1L, "image-unsupported", 1L),
        Map.of("clutter", 6L));
  }

  @Test
  void parquetOfManyMakes() throws IOException {
    ingest("parquet", "I13/wdsconv.parquet");
    outcome(1, Map.of(), Map.of());
    for (String codec : List.of("snappy", "gzip", "zstd", "lz4", "v2")) {
      ingest("parquet", "I17/" + codec + ".parquet");
      allTaken();
    }
    ingest("parquet", "I17/brotli.parquet");
    outcome(0, Map.of("unreadable", 1L), Map.of());
    assertThat(details()).allMatch(detail -> detail.contains("brotli"));
    refused("parquet", "I16/b64.parquet", "base64", "image-content");
    ingest("parquet", "I16/b64.parquet", "image-content = base64");
    allTaken();
    ingest("parquet", "I16/paths.parquet");
    outcome(0, Map.of("schema", 1L, "not-a-file", 1L), Map.of());
    assertThat(details()).anyMatch(detail -> detail.contains("image-content = path"));
    ingest("parquet", "I16/paths.parquet", "image-content = path");
    outcome(0, Map.of("missing-file", 1L, "not-a-file", 1L), Map.of());
  }

  @Test
  void tables() throws IOException {
    refused("csv", "I21/Train_GCC-training.tsv", "header");
    ingest(
        "csv",
        "I21/Train_GCC-training.tsv",
        "header = \"caption,url\"",
        "image-column = url",
        "caption-column = caption");
    outcome(0, Map.of("not-a-file", 2L), Map.of());
    ingest("csv", "I30/comma.csv");
    outcome(1, Map.of("csv-malformed", 1L), Map.of());
    ingest("csv", "I30/index.csv");
    outcome(1, Map.of(), Map.of());
    ingest("csv", "I30/nan.csv");
    outcome(0, Map.of("caption-missing", 4L), Map.of());
    ingest("csv", "I30/strayquote.tsv");
    outcome(5, Map.of(), Map.of());
    ingest("csv", "I30/strayquote.tsv", "quote = \"\\\"\"");
    outcome(4, Map.of("csv-malformed", 1L), Map.of());
  }

  @Test
  void jsonOfThreeForms() throws IOException {
    String root = "image-root = \"" + path("I25/train") + "\"";
    ingest("jsonl", "I25/train/metadata.jsonl");
    outcome(2, Map.of(), Map.of());
    assertThat(captions()).containsExactlyInAnyOrder("i25 c0", "i25 c1");
    ingest("coco", "I25/captions_coco.json", root);
    outcome(1, Map.of(), Map.of());
    ingest("llava", "I25/llava.json", root);
    outcome(1, Map.of(), Map.of());
  }

  @Test
  void pointersOfGitLfs() throws IOException {
    ingest("parquet", "I39/train.parquet");
    outcome(0, Map.of("unreadable", 1L), Map.of());
    pointerIsNamed();
    ingest("webdataset", "I39/00000.tar");
    outcome(0, Map.of("unreadable", 1L), Map.of());
    pointerIsNamed();
    ingest("folder", "I39/a");
    outcome(0, Map.of("image-undecodable", 1L), Map.of());
    pointerIsNamed();
  }

  private void pointerIsNamed() {
    assertThat(details())
        .allMatch(detail -> detail.contains("a Git LFS pointer: run git lfs pull"))
        .noneMatch(detail -> detail.contains("Remove"));
  }

  private void refused(String format, String name, String... parts) {
    assertThatThrownBy(() -> ingest(format, name))
        .isInstanceOf(SettingsException.class)
        .satisfies(e -> assertThat(e.getMessage()).contains(parts));
  }

  private static Path path(String name) {
    return SharedData.shownCase(name).toAbsolutePath().normalize();
  }

  private void ingest(String format, String name, String... keys) throws IOException {
    run(format, path(name), keys);
  }

  private void run(String format, Path source, String... keys) throws IOException {
    Path data = folder.resolve("data" + runs++);
    String more = keys.length == 0 ? "" : ", " + String.join(", ", keys);
    Settings settings =
        Settings.load(
            List.of(),
            List.of(
                "ingest.sources=[{format = %s, path = \"%s\"%s}]".formatted(format, source, more),
                "dataset=" + data));
    result = IngestStage.run(LocalSpark.get(), settings);
    read(new DatasetFolder(data.toString(), new Configuration()));
  }

  private void read(DatasetFolder dataset) throws IOException {
    pairs.clear();
    rejects.clear();
    for (Shard shard : dataset.requireManifest().shards()) {
      try (ShardReader<Pair> reader =
          ShardReader.open(new Configuration(), dataset.pairs(shard), PairFormat.ALL)) {
        for (int group = 0; group < reader.rowGroups(); group++) {
          pairs.addAll(reader.readGroup(group));
        }
      }
    }
    for (DatasetManifest.Generation generation : dataset.requireManifest().generations()) {
      for (String name : generation.rejectFiles()) {
        try (ShardReader<Reject> reader =
            ShardReader.open(new Configuration(), dataset.file(name), new RejectFormat())) {
          for (int group = 0; group < reader.rowGroups(); group++) {
            rejects.addAll(reader.readGroup(group));
          }
        }
      }
    }
  }

  private void allTaken() {
    assertThat(result.input()).isPositive();
    outcome(result.input(), Map.of(), Map.of());
  }

  private void outcome(long taken, Map<String, Long> reasons, Map<String, Long> ignored) {
    String found = result + " " + rejects.stream().map(r -> r.key() + ": " + r.detail()).toList();
    assertThat(result.pairs()).as(found).isEqualTo(taken);
    assertThat(result.reasons()).as(found).isEqualTo(new TreeMap<>(reasons));
    assertThat(result.ignoredKinds()).as(found).isEqualTo(new TreeMap<>(ignored));
    assertThat(result.input()).isEqualTo(result.pairs() + result.rejects());
    assertThat(pairs).hasSize((int) taken);
  }

  private List<String> captions() {
    return pairs.stream().map(Pair::caption).toList();
  }

  private List<String> details() {
    assertThat(rejects).isNotEmpty();
    return rejects.stream().map(Reject::detail).toList();
  }

  private Path unpack(String name) throws IOException {
    try (InputStream file = Files.newInputStream(path(name));
        TarArchiveInputStream tar = new TarArchiveInputStream(file, "UTF-8")) {
      for (TarArchiveEntry entry = tar.getNextEntry(); entry != null; entry = tar.getNextEntry()) {
        Path target = folder.resolve("in").resolve(entry.getName());
        if (entry.isDirectory()) {
          Files.createDirectories(target);
        } else {
          Files.createDirectories(target.getParent());
          Files.copy(tar, target);
        }
      }
    }
    return folder.resolve("in");
  }
}
