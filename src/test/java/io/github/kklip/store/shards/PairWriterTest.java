package io.github.kklip.store.shards;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.store.Blocks;
import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Label;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.column.Encoding;
import org.apache.parquet.hadoop.ParquetFileReader;
import org.apache.parquet.hadoop.metadata.BlockMetaData;
import org.apache.parquet.hadoop.metadata.ColumnChunkMetaData;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PairWriterTest {
  private static final int IMAGE = 3;

  private final Configuration configuration = new Configuration();

  @TempDir Path folder;

  @Test
  void anImageWithSeveralCaptionsStandsOnce() throws IOException {
    List<HashedPair> rows = rows(70, 10_000, image -> 5);
    String blocks = write("pairs.parquet", rows, 64);

    assertThat(blocks).isEqualTo("64x5 6x5");
    assertThat(Files.size(folder.resolve("pairs.parquet"))).isBetween(700_000L, 780_000L);
    try (ShardReader<Pair> reader = open("pairs.parquet", PairFormat.ALL)) {
      assertThat(reader.rows()).isEqualTo(350);
      assertThat(List.of(reader.rows(0), reader.rows(1))).containsExactly(320, 30);
      assertThat(reader.blocks()).isEqualTo(blocks);
      List<Pair> first = reader.readGroup(0);
      for (int row = 0; row < 320; row++) {
        // Block p is the p-th caption of each image, and all share its bytes.
        Pair expected = rows.get(row % 64 * 5 + row / 64).pair();
        assertThat(first.get(row)).usingRecursiveComparison().isEqualTo(expected);
        assertThat(first.get(row).image()).isSameAs(first.get(row % 64).image());
      }
      assertThat(reader.readGroup(0, 70, 75))
          .usingRecursiveFieldByFieldElementComparator()
          .containsExactlyElementsOf(first.subList(70, 75));
    }
    List<String> splits = new ArrayList<>();
    try (RowGroupReader reader = RowGroupReader.open(configuration, path("pairs.parquet"))) {
      for (int group = 0; group < reader.groups(); group++) {
        splits.addAll(reader.read(group, reader.schema()).texts("split"));
      }
    }
    assertThat(splits).hasSize(350).containsOnly("train");
  }

  @Test
  void imagesThatDoNotComeAgainArePlainPagesAsInFormat1() throws IOException {
    List<HashedPair> rows = rows(100, 50_000, image -> 1);
    assertThat(write("pairs.parquet", rows, 64)).isEqualTo("64 36");
    try (ShardWriter<Pair> writer =
        new ShardWriter<>(configuration, path("format1.parquet"), PairFormat.ALL, 64)) {
      for (HashedPair row : rows) {
        writer.write(row.pair());
      }
      Files.move(Path.of(writer.commit().file().toUri()), folder.resolve("format1.parquet"));
    }

    List<BlockMetaData> groups = groups("pairs.parquet");
    List<BlockMetaData> before = groups("format1.parquet");
    assertThat(groups).hasSize(2);
    for (int group = 0; group < 2; group++) {
      ColumnChunkMetaData image = groups.get(group).getColumns().get(IMAGE);
      ColumnChunkMetaData old = before.get(group).getColumns().get(IMAGE);
      assertThat(image.hasDictionaryPage()).isFalse();
      assertThat(image.getEncodings()).containsExactlyInAnyOrderElementsOf(old.getEncodings());
      assertThat(image.getTotalSize()).isEqualTo(old.getTotalSize());
    }
  }

  @Test
  void onlyTheImageHasADictionary() throws IOException {
    write("pairs.parquet", rows(70, 3_000_000, image -> 2), 64);

    List<BlockMetaData> groups = groups("pairs.parquet");
    // 16 MiB are 5 images of 3 MB, however often they come.
    assertThat(groups).hasSize(14);
    for (BlockMetaData group : groups) {
      assertThat(group.getRowCount()).isEqualTo(10);
      assertThat(group.getTotalByteSize()).isBetween(15_000_000L, 15_010_000L);
      for (ColumnChunkMetaData column : group.getColumns()) {
        boolean image = column.getPath().toDotString().equals("image");
        assertThat(column.hasDictionaryPage()).isEqualTo(image);
        assertThat(column.getEncodings().stream().anyMatch(Encoding::usesDictionary))
            .isEqualTo(image);
      }
    }
  }

  @Test
  void anImageOverTheBoundOfARowGroupStandsOnceToo() throws IOException {
    List<HashedPair> rows = rows(3, 20 << 20, image -> 16);
    assertThat(write("pairs.parquet", rows, 64)).isEqualTo("1x48");
    assertThat(Files.size(folder.resolve("pairs.parquet"))).isBetween(60L << 20, 61L << 20);
  }

  @Test
  void aBlockHoldsNoImageTwiceAndAnImageIsReadLessThanTwiceAsOftenAsItIsUsed() throws IOException {
    Random random = new Random(1);
    List<HashedPair> rows = rows(1500, 100, image -> image % 97 == 0 ? 40 : captions(random));
    List<Integer> blocks = Blocks.read(write("pairs.parquet", rows, 32), rows.size());

    List<Pair> all = new ArrayList<>();
    Map<String, Integer> stored = new HashMap<>();
    long readImages = 0;
    try (ShardReader<Pair> reader = open("pairs.parquet", PairFormat.IDS)) {
      int block = 0;
      for (int group = 0; group < reader.rowGroups(); group++) {
        List<Pair> pairs = reader.readGroup(group);
        assertThat(pairs).hasSizeLessThanOrEqualTo(32 * 16);
        List<String> images = pairs.stream().map(Pair::imageId).distinct().toList();
        assertThat(images).hasSizeLessThanOrEqualTo(32);
        images.forEach(image -> stored.merge(image, 1, Integer::sum));
        for (int start = 0; start < pairs.size(); start += blocks.get(block++)) {
          List<Pair> rowsOfBlock = pairs.subList(start, start + blocks.get(block));
          assertThat(rowsOfBlock.stream().map(Pair::imageId)).doesNotHaveDuplicates();
          readImages += images.size();
        }
        all.addAll(pairs);
      }
      assertThat(block).isEqualTo(blocks.size());
    }
    assertThat(all.stream().map(Pair::id))
        .containsExactlyInAnyOrderElementsOf(rows.stream().map(row -> row.pair().id()).toList());
    // 40 captions are three times 16 at the most.
    assertThat(stored.values().stream().mapToInt(Integer::intValue).sum())
        .isEqualTo(1500 + 2 * (1 + 1499 / 97));
    assertThat((double) readImages / rows.size()).isBetween(1.1, 1.6);
  }

  /** Most have one, as images of the web. */
  private static int captions(Random random) {
    return random.nextInt(10) < 7 ? 1 : 1 + random.nextInt(9);
  }

  @Test
  void equalRowsAreEqualBytes() throws IOException {
    for (String name : List.of("a.parquet", "b.parquet")) {
      write(name, rows(200, 300, image -> 1 + image % 5), 64);
    }
    assertThat(folder.resolve("a.parquet")).hasSameBinaryContentAs(folder.resolve("b.parquet"));
  }

  @Test
  void aFlippedBitOfADictionaryIsAnError() throws IOException {
    write("pairs.parquet", rows(10, 5000, image -> 3), 64);
    Path file = folder.resolve("pairs.parquet");
    byte[] bytes = Files.readAllBytes(file);
    bytes[20_000] ^= 4;
    Files.write(file, bytes);

    try (ShardReader<Pair> reader = open("pairs.parquet", PairFormat.ALL)) {
      assertThatThrownBy(() -> reader.readGroup(0))
          .isInstanceOf(DamagedFileException.class)
          .hasMessageContaining("pairs.parquet");
    }
  }

  @Test
  void hashesComeBack() throws IOException {
    List<HashedPair> rows = rows(20, 100, image -> 2);
    try (PairWriter writer =
        new PairWriter(configuration, path("pairs.parquet"), Split.VALIDATION, true, 64)) {
      for (HashedPair row : rows) {
        writer.write(row);
      }
      Files.move(Path.of(writer.commit().file().toUri()), folder.resolve("pairs.parquet"));
    }
    try (ShardReader<HashedPair> reader = open("pairs.parquet", HashedPairFormat.IDS)) {
      Map<String, Long> hashes = new HashMap<>();
      reader.readGroup(0).forEach(row -> hashes.put(row.pair().imageId(), row.hash()));
      rows.forEach(row -> assertThat(hashes).containsEntry(row.pair().imageId(), row.hash()));
    }
  }

  @Test
  void rowGroupsOfDerivedFilesHoldWholeBlocks() throws IOException {
    List<HashedPair> rows = rows(200, 100, image -> 1 + image % 5);
    String blocks = write("pairs.parquet", rows, 64);
    List<Pair> pairs = new ArrayList<>();
    String identity;
    try (ShardReader<Pair> reader = open("pairs.parquet", PairFormat.IDS)) {
      identity = reader.identity();
      for (int group = 0; group < reader.rowGroups(); group++) {
        pairs.addAll(reader.readGroup(group));
      }
    }
    Shard shard =
        new Shard(Split.TRAIN, 0, pairs.size(), identity, "pairs/train-00000.parquet", blocks);
    org.apache.hadoop.fs.Path written;
    try (ShardWriter<Label> writer =
        new ShardWriter<>(
            configuration, path("labels.parquet"), new LabelFormat(), shard, "made")) {
      for (Pair pair : pairs) {
        writer.write(new Label(pair.id(), new int[] {1}, new float[] {1}));
      }
      written = writer.commit().file();
    }

    HashSet<Integer> starts = new HashSet<>();
    int start = 0;
    for (int size : shard.blockRows()) {
      starts.add(start);
      start += size;
    }
    try (ShardReader<Label> reader =
        ShardReader.open(configuration, written, new LabelFormat(), shard, "made")) {
      int row = 0;
      for (int group = 0; group < reader.rowGroups(); group++) {
        assertThat(starts).contains(row);
        assertThat(reader.rows(group)).isLessThanOrEqualTo(64);
        row += reader.rows(group);
      }
      assertThat(row).isEqualTo(pairs.size());
      assertThat(reader.rowGroups()).isLessThan(shard.blockRows().size());
    }
  }

  private interface Captions {
    int of(int image);
  }

  private static List<HashedPair> rows(int images, int bytes, Captions captions) {
    Random random = new Random(5);
    List<HashedPair> rows = new ArrayList<>();
    for (int i = 0; i < images; i++) {
      byte[] image = new byte[bytes];
      random.nextBytes(image);
      String imageId = Identity.ofImage(image);
      int count = captions.of(i);
      for (int p = 0; p < count; p++) {
        String caption = "caption " + p + " of " + i + " ä";
        Pair pair =
            new Pair(
                Identity.ofPair(imageId, caption), imageId, caption, image.clone(), i, 2, "a.tar");
        rows.add(new HashedPair(pair, i));
      }
    }
    return rows;
  }

  private String write(String name, List<HashedPair> rows, int imagesPerGroup) throws IOException {
    try (PairWriter writer =
        new PairWriter(configuration, path(name), Split.TRAIN, false, imagesPerGroup)) {
      for (HashedPair row : rows) {
        writer.write(row);
      }
      assertThat(writer.rows()).isEqualTo(rows.size());
      Files.move(Path.of(writer.commit().file().toUri()), folder.resolve(name));
      return writer.blocks();
    }
  }

  private <T> ShardReader<T> open(String name, RowFormat<T> format) throws IOException {
    return ShardReader.open(configuration, path(name), format);
  }

  private List<BlockMetaData> groups(String name) throws IOException {
    try (ParquetFileReader file =
        ParquetFileReader.open(new StoredParquet(configuration, path(name)))) {
      return file.getRowGroups();
    }
  }

  private org.apache.hadoop.fs.Path path(String name) {
    return new org.apache.hadoop.fs.Path(folder.resolve(name).toUri());
  }
}
