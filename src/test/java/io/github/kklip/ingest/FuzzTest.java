package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.ingest.sources.Archive;
import io.github.kklip.ingest.sources.CsvReader;
import io.github.kklip.ingest.sources.Members;
import io.github.kklip.ingest.sources.SourceFormats;
import io.github.kklip.ingest.sources.SourceReader;
import io.github.kklip.ingest.sources.TarReader;
import io.github.kklip.ingest.sources.Unit;
import io.github.kklip.ingest.sources.WebDatasetReader;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.safetensors.SafetensorsWriter;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * Readers of untrusted files on seeded mutations of good ones: each ends, with data, rejects or the
 * error that it declares. The profile {@code fuzz} looks longer.
 */
class FuzzTest {
  private static final int ROUNDS = Integer.getInteger("kklip.fuzz.rounds", 2000);

  @TempDir Path folder;

  /** Some bytes changed, cut off, doubled or swapped. */
  private static byte[] mutated(byte[] good, SplitMix64 random) {
    byte[] bytes = good.clone();
    for (int change = random.nextInt(4); change >= 0 && bytes.length > 0; change--) {
      int at = random.nextInt(bytes.length);
      int length = Math.min(bytes.length - at, 1 + random.nextInt(64));
      switch (random.nextInt(6)) {
        case 0 -> bytes[at] ^= (byte) (1 << random.nextInt(8));
        case 1 -> bytes[at] = (byte) random.nextInt(256);
        case 2 -> bytes = Arrays.copyOf(bytes, at);
        case 3 -> Arrays.fill(bytes, at, at + length, (byte) (random.nextInt(2) * 0xFF));
        case 4 -> {
          byte[] longer = new byte[bytes.length + length];
          System.arraycopy(bytes, 0, longer, 0, at);
          System.arraycopy(bytes, at, longer, at + length, bytes.length - at);
          bytes = longer;
        }
        default -> {
          int other = random.nextInt(bytes.length);
          byte kept = bytes[at];
          bytes[at] = bytes[other];
          bytes[other] = kept;
        }
      }
    }
    return bytes;
  }

  private static byte[] tar() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, 512, "UTF-8")) {
      tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_POSIX);
      for (int i = 0; i < 4; i++) {
        member(tar, i + ".png", new byte[100 * i]);
        member(tar, i + ".json", "{\"captions\": [\"a\", \"b\"]}".getBytes(StandardCharsets.UTF_8));
        member(tar, "long/".repeat(30) + i + ".txt", "caption".getBytes(StandardCharsets.UTF_8));
      }
    }
    return bytes.toByteArray();
  }

  private static void member(TarArchiveOutputStream tar, String name, byte[] data)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(data.length);
    tar.putArchiveEntry(entry);
    tar.write(data);
    tar.closeArchiveEntry();
  }

  @Test
  void tarHeaders() throws IOException {
    byte[] good = tar();
    SplitMix64 random = new SplitMix64(1);
    int damaged = 0;
    for (int round = 0; round < ROUNDS; round++) {
      byte[] bytes = mutated(good, random);
      try {
        TarReader tar = new TarReader(new ByteArrayInputStream(bytes), 0);
        for (Archive.Entry entry = tar.next(); entry != null; entry = tar.next()) {
          assertThat(entry.size()).isNotNegative();
          tar.read(1 << 16);
        }
      } catch (IOException declared) {
        damaged++;
      } catch (RuntimeException e) {
        fail("round " + round, e);
      }
    }
    assertThat(damaged).isBetween(ROUNDS / 10, ROUNDS - 1);
  }

  @Test
  void archivesAndTables() throws IOException {
    Settings settings = Settings.load(List.of(), List.of("ingest.split-bytes=65536"));
    SourceReader archives = new WebDatasetReader(source("webdataset"), settings.ingest());
    SourceReader rows = new CsvReader(source("csv"), settings.ingest());
    byte[] plain = tar();
    ByteArrayOutputStream zipped = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(zipped)) {
      gzip.write(plain);
    }
    StringBuilder table = new StringBuilder("filepath\ttitle\textra\n");
    for (int i = 0; i < 20; i++) {
      table.append(i).append(".png\t\"caption \"\"").append(i).append("\"\"\nof two lines\"\tx\n");
    }
    SplitMix64 random = new SplitMix64(2);
    for (int round = 0; round < ROUNDS / 10; round++) {
      read(archives, mutated(round % 2 == 0 ? plain : zipped.toByteArray(), random), round);
      read(rows, mutated(table.toString().getBytes(StandardCharsets.UTF_8), random), round);
    }
  }

  private static byte[] zip() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      for (String name : List.of("a/0.png", "a/0.txt", "a/1.jpg", "a/1.json")) {
        zip.putNextEntry(new ZipEntry(name));
        zip.write("{\"caption\": \"a caption\"}".getBytes(StandardCharsets.UTF_8));
        zip.closeEntry();
      }
    }
    return bytes.toByteArray();
  }

  @Test
  void jsonZipAndParquet() throws IOException {
    byte[] parquet;
    try (InputStream golden =
        FuzzTest.class.getResourceAsStream("/golden/ingest/img2dataset.parquet")) {
      parquet = golden.readAllBytes();
    }
    Map<String, byte[]> good =
        Map.of(
            "jsonl",
                text(
                    """
                    {"file_name": "0.png", "text": ["a", NaN, null]}
                    {"file_name": "1.png", "text": "\\u00e9"}
                    """),
            "coco",
                text(
                    """
                    {"images": [{"id": 1, "file_name": "0.png"}, {"id": 2}],
                     "annotations": [{"image_id": 1, "caption": "a"}]}
                    """),
            "llava",
                text(
                    """
                    [{"image": "0.png", "conversations": [{"from": "gpt", "value": "a"}]}]
                    """),
            "webdataset", zip(),
            "parquet", parquet);
    SplitMix64 random = new SplitMix64(4);
    for (Map.Entry<String, byte[]> one : new TreeMap<>(good).entrySet()) {
      Settings settings = Settings.load(List.of(), List.of());
      SourceReader reader = SourceFormats.reader(source(one.getKey()), settings);
      for (int round = 0; round < ROUNDS / 10; round++) {
        read(reader, mutated(one.getValue(), random), round);
      }
    }
  }

  private static byte[] text(String text) {
    return text.getBytes(StandardCharsets.UTF_8);
  }

  private static IngestSettings.SourceSettings source(String format) throws IOException {
    return Settings.load(
            List.of(), List.of("ingest.sources=[{format=" + format + ", path=\"/x\"}]"))
        .ingest()
        .sources()
        .get(0);
  }

  /** Data make members or problems: an exception would say that the disk has failed. */
  private void read(SourceReader reader, byte[] bytes, int round) throws IOException {
    Path file = Files.write(folder.resolve("fuzzed"), bytes);
    Configuration configuration = new Configuration(false);
    try {
      int members = 0;
      for (Unit unit : reader.plan(configuration, Unit.whole(0, file.toUri().toString()))) {
        try (Members read = reader.open(configuration, unit)) {
          while (read.next() != null) {
            members++;
          }
        }
      }
      assertThat(members).isLessThan(1000);
    } catch (RuntimeException e) {
      fail("round " + round, e);
    }
  }

  @Test
  void safetensors() throws IOException {
    ByteArrayOutputStream good = new ByteArrayOutputStream();
    new SafetensorsWriter()
        .add("weights", new float[] {1, 2, 3, 4, 5, 6}, 2, 3)
        .add("bias", new float[] {1, 2, 3}, 3)
        .writeTo(good);
    SplitMix64 random = new SplitMix64(3);
    int refused = 0;
    for (int round = 0; round < ROUNDS / 4; round++) {
      Path file =
          Files.write(folder.resolve("fuzzed.safetensors"), mutated(good.toByteArray(), random));
      try {
        Safetensors tensors = Safetensors.open(file);
        for (String name : tensors.names()) {
          assertThat(tensors.bytes(name).remaining()).isLessThanOrEqualTo(good.size() + 256);
        }
      } catch (IOException declared) {
        refused++;
      } catch (RuntimeException e) {
        fail("round " + round, e);
      }
    }
    assertThat(refused).isPositive();
  }
}
