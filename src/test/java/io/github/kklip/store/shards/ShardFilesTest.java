package io.github.kklip.store.shards;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.store.Identity;
import io.github.kklip.store.Label;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.Vector;
import io.github.kklip.store.VectorStorage;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.parquet.format.Encoding;
import org.apache.parquet.format.FileMetaData;
import org.apache.parquet.format.Util;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ShardFilesTest {
  private final Configuration configuration = new Configuration();

  @TempDir Path folder;

  @Test
  void pairsComeBackByRowGroupInAnyOrder() throws IOException {
    List<Pair> pairs = pairs(150, 40);
    String identity = write(pairs, "pairs.parquet", 64);

    try (ShardReader<Pair> reader =
        ShardReader.open(configuration, path("pairs.parquet"), PairFormat.ALL)) {
      assertThat(reader.rowGroups()).isEqualTo(3);
      assertThat(reader.rows()).isEqualTo(150);
      assertThat(List.of(reader.rows(0), reader.rows(1), reader.rows(2)))
          .containsExactly(64, 64, 22);
      assertThat(reader.identity()).isEqualTo(identity).hasSize(32);
      assertSame(reader.readGroup(2), pairs.subList(128, 150));
      assertSame(reader.readGroup(0), pairs.subList(0, 64));
    }
    assertThat(names()).containsExactly("pairs.parquet");
  }

  @Test
  void sixteenMebibytesEndARowGroup() throws IOException {
    List<Pair> pairs = pairs(10, 5 << 20);
    write(pairs, "pairs.parquet", 64);

    try (ShardReader<Pair> reader =
        ShardReader.open(configuration, path("pairs.parquet"), PairFormat.ALL)) {
      assertThat(reader.rowGroups()).isEqualTo(4);
      assertThat(reader.rows(0)).isEqualTo(3);
      assertThat(reader.bytes(0)).isBetween(15L << 20, 16L << 20);
    }
  }

  @Test
  void aProjectionLeavesTheImagesUnread() throws IOException {
    List<Pair> pairs = pairs(5, 100_000);
    write(pairs, "pairs.parquet", 64);

    try (ShardReader<Pair> reader =
        ShardReader.open(configuration, path("pairs.parquet"), PairFormat.CAPTIONS)) {
      assertThat(reader.bytes(0)).isLessThan(2_000);
      Pair first = reader.readGroup(0).get(0);
      assertThat(first.caption()).isEqualTo(pairs.get(0).caption());
      assertThat(first.image()).isEmpty();
      assertThat(first.width()).isZero();
    }
  }

  @Test
  void equalRowsAreEqualBytes() throws IOException {
    write(pairs(100, 50), "a.parquet", 64);
    write(pairs(100, 50), "b.parquet", 64);

    assertThat(folder.resolve("a.parquet")).hasSameBinaryContentAs(folder.resolve("b.parquet"));
  }

  /** Parquet gives them in the order of hash codes, which another process has otherwise. */
  @Test
  void encodingsStandInAFixedOrder() throws IOException {
    write(pairs(100, 50), "pairs.parquet", 64);

    byte[] file = Files.readAllBytes(folder.resolve("pairs.parquet"));
    int length = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getInt(file.length - 8);
    FileMetaData footer =
        Util.readFileMetaData(new ByteArrayInputStream(file, file.length - 8 - length, length));
    assertThat(footer.getRow_groups()).hasSize(2);
    assertThat(footer.getRow_groups().stream().flatMap(group -> group.getColumns().stream()))
        .hasSize(14)
        .allSatisfy(
            column ->
                assertThat(column.getMeta_data().getEncodings())
                    .containsExactly(Encoding.PLAIN, Encoding.BIT_PACKED));
  }

  @Test
  void nothingRemainsWithoutCommit() throws IOException {
    try (ShardWriter<Pair> writer =
        new ShardWriter<>(configuration, path("pairs.parquet"), PairFormat.ALL, 64)) {
      for (Pair pair : pairs(70, 10)) {
        writer.write(pair);
      }
    }

    assertThat(names()).isEmpty();
  }

  @Test
  void aFileCutShortIsAnErrorThatNamesIt() throws IOException {
    write(pairs(100, 5000), "pairs.parquet", 64);
    Path file = folder.resolve("pairs.parquet");
    byte[] bytes = Files.readAllBytes(file);
    Files.write(file, java.util.Arrays.copyOf(bytes, bytes.length / 2));

    assertThatThrownBy(() -> ShardReader.open(configuration, path("pairs.parquet"), PairFormat.ALL))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("pairs.parquet because it is not a whole Parquet file")
        .hasMessageContaining("run the job that made it again");
  }

  @Test
  void aFlippedBitIsAnErrorThatNamesTheFile() throws IOException {
    write(pairs(10, 5000), "pairs.parquet", 64);
    Path file = folder.resolve("pairs.parquet");
    byte[] bytes = Files.readAllBytes(file);
    bytes[20_000] ^= 4;
    Files.write(file, bytes);

    try (ShardReader<Pair> reader =
        ShardReader.open(configuration, path("pairs.parquet"), PairFormat.ALL)) {
      assertThatThrownBy(() -> reader.readGroup(0))
          .isInstanceOf(IOException.class)
          .hasMessageContaining("pairs.parquet");
    }
  }

  /** Whatever the decoder says of it: numbers that are none, columns that are not there. */
  @Test
  void aBitOfEachSeventhByteIsAnErrorThatNamesTheFileOrDoesNoHarm() throws IOException {
    List<Pair> pairs = pairs(3, 20);
    Shard shard = new Shard(Split.TRAIN, 0, 3, write(pairs, "pairs.parquet", 64));
    try (ShardWriter<Vector> writer =
        new ShardWriter<>(
            configuration,
            path("vectors.parquet"),
            new VectorFormat(VectorStorage.FLOAT16, 2),
            shard,
            settings("mean"))) {
      for (Pair pair : pairs) {
        writer.write(new Vector(pair.id(), new float[] {1, -1}));
      }
      named(writer.commit(), "vectors.parquet");
    }
    flipped("pairs.parquet", PairFormat.ALL, shard);
    flipped("vectors.parquet", VectorFormat.AS_STORED, shard);
  }

  private void flipped(String name, RowFormat<?> format, Shard shard) throws IOException {
    Path file = folder.resolve(name);
    byte[] whole = Files.readAllBytes(file);
    List<String> expected = rows(name, format, shard);
    int found = 0;
    for (int at = 0; at < whole.length; at += 7) {
      byte[] bytes = whole.clone();
      bytes[at] ^= (byte) (1 << at % 8);
      Files.write(file, bytes);
      String what = name + ", byte " + at;
      try {
        assertThat(rows(name, format, shard)).as(what).isEqualTo(expected);
      } catch (IOException e) {
        assertThat(e).as(what).hasMessageContaining(name);
        found++;
      }
    }
    assertThat(found).isGreaterThan(whole.length / 7 / 4);
    Files.write(file, whole);
  }

  private List<String> rows(String name, RowFormat<?> format, Shard shard) throws IOException {
    List<String> rows = new ArrayList<>();
    try (ShardReader<?> reader =
        format instanceof PairFormat
            ? ShardReader.open(configuration, path(name), format)
            : ShardReader.open(configuration, path(name), format, shard, settings("mean"))) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (Object row : reader.readGroup(group)) {
          rows.add(
              row instanceof Vector vector
                  ? vector.id() + java.util.Arrays.toString(vector.values())
                  : ((Pair) row).id() + ((Pair) row).caption());
        }
      }
    }
    return rows;
  }

  @Test
  void vectorsComeBackInBothStorages() throws IOException {
    List<Pair> pairs = pairs(70, 1);
    Shard shard = new Shard(Split.TRAIN, 0, 70, write(pairs, "pairs.parquet", 64));
    String settings = settings("mean");
    for (VectorStorage storage : VectorStorage.values()) {
      String name = storage.keyword() + ".parquet";
      try (ShardWriter<Vector> writer =
          new ShardWriter<>(
              configuration, path(name), new VectorFormat(storage, 3), shard, settings)) {
        for (int i = 0; i < 70; i++) {
          writer.write(new Vector(pairs.get(i).id(), new float[] {i, -0.5f, i / 8f}));
        }
        named(writer.commit(), name);
      }

      try (ShardReader<Vector> reader =
          ShardReader.open(configuration, path(name), VectorFormat.AS_STORED, shard, settings)) {
        assertThat(VectorFormat.dimension(reader)).isEqualTo(3);
        assertThat(reader.rowGroups()).isEqualTo(2);
        Vector row = reader.readGroup(1).get(5);
        assertThat(row.id()).isEqualTo(pairs.get(69).id());
        assertThat(row.values()).containsExactly(69, -0.5f, 8.625f);
        assertThat(reader.readGroup(0)).hasSize(64);
      }
    }
  }

  @Test
  void vectorsOfOtherSettingsOrPairsAreRefused() throws IOException {
    List<Pair> pairs = pairs(3, 1);
    Shard shard = new Shard(Split.TRAIN, 0, 3, write(pairs, "pairs.parquet", 64));
    try (ShardWriter<Vector> writer =
        new ShardWriter<>(
            configuration,
            path("v.parquet"),
            new VectorFormat(VectorStorage.FLOAT32, 1),
            shard,
            settings("mean"))) {
      for (Pair pair : pairs) {
        writer.write(new Vector(pair.id(), new float[1]));
      }
      named(writer.commit(), "v.parquet");
    }

    assertThatThrownBy(
            () ->
                ShardReader.open(
                    configuration,
                    path("v.parquet"),
                    VectorFormat.AS_STORED,
                    shard,
                    settings("last")))
        .hasMessageContaining("v.parquet because it was made with other settings");
    Shard other = new Shard(Split.TRAIN, 0, 3, "00");
    assertThatThrownBy(
            () ->
                ShardReader.open(
                    configuration,
                    path("v.parquet"),
                    VectorFormat.AS_STORED,
                    other,
                    settings("mean")))
        .hasMessageContaining("v.parquet because it belongs to other pairs");
  }

  @Test
  void vectorsInAnotherOrderThanTheirPairsAreNotPublished() throws IOException {
    List<Pair> pairs = pairs(2, 1);
    Shard shard = new Shard(Split.TRAIN, 0, 2, write(pairs, "pairs.parquet", 64));
    try (ShardWriter<Vector> writer =
        new ShardWriter<>(
            configuration,
            path("v.parquet"),
            new VectorFormat(VectorStorage.FLOAT32, 1),
            shard,
            settings("mean"))) {
      writer.write(new Vector(pairs.get(1).id(), new float[1]));
      writer.write(new Vector(pairs.get(0).id(), new float[1]));
      assertThatThrownBy(writer::commit).hasMessageContaining("its rows are not those of Shard");
    }

    assertThat(names()).containsExactly("pairs.parquet");
  }

  @Test
  void labelsComeBackWithTheirOwnLengths() throws IOException {
    List<Pair> pairs = pairs(3, 1);
    Shard shard = new Shard(Split.VALIDATION, 7, 3, write(pairs, "pairs.parquet", 64));
    try (ShardWriter<Label> writer =
        new ShardWriter<>(
            configuration, path("l.parquet"), new LabelFormat(), shard, settings("k"))) {
      writer.write(new Label(pairs.get(0).id(), new int[] {3, 1}, new float[] {0.75f, 0.25f}));
      writer.write(new Label(pairs.get(1).id(), new int[] {9}, new float[] {1}));
      writer.write(new Label(pairs.get(2).id(), new int[] {}, new float[] {}));
      named(writer.commit(), "l.parquet");
    }

    try (ShardReader<Label> reader =
        ShardReader.open(
            configuration, path("l.parquet"), new LabelFormat(), shard, settings("k"))) {
      List<Label> labels = reader.readGroup(0);
      assertThat(labels.get(0).concepts()).containsExactly(3, 1);
      assertThat(labels.get(0).weights()).containsExactly(0.75f, 0.25f);
      assertThat(labels.get(1).concepts()).containsExactly(9);
      assertThat(labels.get(2).weights()).isEmpty();
      assertThat(labels.get(2).id()).isEqualTo(pairs.get(2).id());
    }
  }

  @Test
  void rejectsComeBack() throws IOException {
    Reject reject = new Reject("a.tar", "0001.jpg", "no-caption", "ünïcode");
    try (ShardWriter<Reject> writer =
        new ShardWriter<>(
            configuration, path("r.parquet"), new RejectFormat(), RejectFormat.ROWS_PER_GROUP)) {
      writer.write(reject);
      named(writer.commit(), "r.parquet");
    }

    try (ShardReader<Reject> reader =
        ShardReader.open(configuration, path("r.parquet"), new RejectFormat())) {
      assertThat(reader.readGroup(0)).containsExactly(reject);
    }
  }

  private static String settings(String value) {
    return new ProcessingSettings(new TreeMap<>(java.util.Map.of("pooling", value))).digest();
  }

  private String write(List<Pair> pairs, String name, int rowsPerGroup) throws IOException {
    try (ShardWriter<Pair> writer =
        new ShardWriter<>(configuration, path(name), PairFormat.ALL, rowsPerGroup)) {
      for (Pair pair : pairs) {
        writer.write(pair);
      }
      return named(writer.commit(), name);
    }
  }

  /** Moves a file to a name that the test knows; returns the identity of its rows. */
  private String named(ShardWriter.Written written, String name) throws IOException {
    Files.move(
        Path.of(written.file().toUri()),
        folder.resolve(name),
        java.nio.file.StandardCopyOption.REPLACE_EXISTING);
    return written.identity();
  }

  private static List<Pair> pairs(int count, int imageBytes) {
    Random random = new Random(5);
    List<Pair> pairs = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      byte[] image = new byte[imageBytes];
      random.nextBytes(image);
      String caption = "caption " + i + " ä";
      String imageId = Identity.ofImage(image);
      pairs.add(
          new Pair(Identity.ofPair(imageId, caption), imageId, caption, image, i, 2 * i, "a.tar"));
    }
    return pairs;
  }

  private static void assertSame(List<Pair> actual, List<Pair> expected) {
    assertThat(actual)
        .usingRecursiveFieldByFieldElementComparator()
        .containsExactlyElementsOf(expected);
  }

  private List<String> names() throws IOException {
    try (var files = Files.list(folder)) {
      return files.map(file -> file.getFileName().toString()).sorted().toList();
    }
  }

  private org.apache.hadoop.fs.Path path(String name) {
    return new org.apache.hadoop.fs.Path(folder.resolve(name).toUri());
  }
}
