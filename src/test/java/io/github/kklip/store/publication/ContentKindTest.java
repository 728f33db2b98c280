package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Base64;
import java.util.EnumSet;
import java.util.HexFormat;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.zip.CRC32C;
import java.util.zip.GZIPOutputStream;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

final class ContentKindTest {
  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      textBlock =
          """
          version https://git-lfs.github.com/spec/v1\\noid sha256:4d\\nsize 12\\n | LFS_POINTER
          <!DOCTYPE html>\\n<html lang=en> | HTML
          \\n <html><head><title>Sign in</title> | HTML
          <?xml version="1.0"?>\\n<Error><Code>AccessDenied</Code></Error> | XML_ERROR
          <?xml version="1.0"?>\\n<svg xmlns="http://www.w3.org/2000/svg"/> | SVG
          <svg width="1"> | SVG
          <?xml version="1.0"?>\\n<annotation> | XML
          {"a": 1} | JSON
          BOM[{"image": 1}] | JSON
          data:image/jpeg;base64,/9j/4AAQ | DATA_URI
          /9j/4AAQSkZJRgABAQ== | BASE64_IMAGE
          iVBORw0KGgoAAAANSUhEUg\\nAAAA | BASE64_IMAGE
          https://example.invalid/a.jpg | URL
          s3a://bucket/a b | TEXT
          images/0001.jpg | PATH
          /data/with space/0001.JPEG\\n | PATH
          Not Found | TEXT
          filepath,title\\na.jpg,b\\n | TEXT
          """)
  void textsAreToldApart(String text, ContentKind kind) {
    String bytes = text.replace("BOM", "\uFEFF").translateEscapes();

    assertThat(ContentKind.of(bytes.getBytes(StandardCharsets.UTF_8))).contains(kind);
  }

  @ParameterizedTest
  @CsvSource({
    "28b52ffd0458, ZSTD",
    "502a4d1804000000, ZSTD",
    "425a68393141592653590000, BZIP2",
    "fd377a585a000004, XZ",
    "04224d186440, LZ4",
    "377abcaf271c0004, SEVEN_ZIP",
    "526172211a070100, RAR",
    "1f8b080000000000, GZIP",
    "504b0506000000000000, ZIP",
    "5041523115041500, PARQUET",
    "4152524f573100000000, ARROW",
    "ffffffff180100001000000000000a00, ARROW",
    "53514c69746520666f726d6174203300, SQLITE",
    "894844460d0a1a0a00, HDF5",
    "255044462d312e34, PDF",
    "0000001c6674797061766966000000006d696631, AVIF",
    "000000186674797068656963000000006d696631, HEIC",
    "0000001c667479706d696631000000006d69663168656963, HEIC",
    "0000001c667479706d696631000000006d69663161766966, AVIF",
    "000000186674797069736f6d0000020069736f6d, VIDEO",
    "ff0a00, JPEG_XL",
    "0000000c4a584c200d0a870a, JPEG_XL",
    "0000000c6a5020200d0a870a, JPEG_2000",
    "ff4fff51002f, JPEG_2000",
    "80027d71002e, PICKLE",
    "80049500000000, PICKLE",
    "934e554d505901007600, NUMPY",
    "50000000000000007b22, SAFETENSORS",
    "4747554603000000, GGUF",
    "384250530001, PHOTOSHOP",
    "ffd8ffe0, JPEG",
    "89504e470d0a1a0a, PNG",
    "fffe61006200, UTF_16_LE",
    "feff00610062, UTF_16_BE",
    "fffe000061000000, UTF_32",
    "0000feff, UTF_32",
    "00000000000000000000000000000000, ZEROS",
    "'', EMPTY",
  })
  void bytesAreToldApart(String hex, ContentKind kind) {
    assertThat(ContentKind.of(HexFormat.of().parseHex(hex))).contains(kind);
  }

  @Test
  void unicodeIsFoundWithoutItsMark() {
    String text = "filepath,title\n\"a.jpg\",two dogs, \u00e9t\u00e9";

    assertThat(ContentKind.of(text.getBytes(StandardCharsets.UTF_16LE)))
        .contains(ContentKind.UTF_16_LE);
    assertThat(ContentKind.of(text.getBytes(StandardCharsets.UTF_16BE)))
        .contains(ContentKind.UTF_16_BE);
    assertThat(ContentKind.of(text.getBytes(Charset.forName("windows-1252")))).isEmpty();
  }

  @Test
  void archivesAreKnownByWhatTheirFirstMemberSays() throws IOException {
    assertThat(ContentKind.of(zip("cats/1.jpg"))).contains(ContentKind.ZIP);
    assertThat(ContentKind.of(zip("archive/data.pkl"))).contains(ContentKind.PYTORCH);
    assertThat(ContentKind.of(zip("arr_0.npy"))).contains(ContentKind.NUMPY);
    assertThat(ContentKind.of(tarHeader("0001.jpg"))).contains(ContentKind.TAR);
    byte[] broken = tarHeader("0001.jpg");
    broken[3] ^= 1;
    assertThat(ContentKind.of(broken)).isEmpty();
  }

  @Test
  void aTfrecordIsKnownByTheChecksumOfItsLength() {
    ByteBuffer record = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN).putLong(48);
    CRC32C crc = new CRC32C();
    crc.update(record.array(), 0, 8);
    int value = (int) crc.getValue();
    record.putInt(((value >>> 15) | (value << 17)) + 0xa282ead8);
    assertThat(ContentKind.of(record.array())).contains(ContentKind.TFRECORD);

    record.put(8, (byte) (record.get(8) ^ 1));
    assertThat(ContentKind.of(record.array())).isEmpty();
  }

  @Test
  void anyImageInBase64IsKnown() {
    byte[][] starts = {
      {(byte) 0xFF, (byte) 0xD8, (byte) 0xFF, (byte) 0xE1, 1, 2, 3},
      {(byte) 0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n', 0, 0, 0, 13},
      "GIF89a~~~~~~".getBytes(StandardCharsets.US_ASCII),
      "RIFF....WEBPVP8 ".getBytes(StandardCharsets.US_ASCII),
      {'I', 'I', '*', 0, 8, 0, 0, 0},
    };
    for (byte[] start : starts) {
      String text = Base64.getEncoder().encodeToString(Arrays.copyOf(start, 900));
      assertThat(ContentKind.of(text.getBytes(StandardCharsets.US_ASCII)))
          .contains(ContentKind.BASE64_IMAGE);
    }
  }

  @Test
  void theHeadMayBeLongerThanWhatIsLookedAtAndCutACharacter() {
    byte[] text = ("{\"a\": \"" + "\u00e9".repeat(5000)).getBytes(StandardCharsets.UTF_8);

    assertThat(ContentKind.of(text)).contains(ContentKind.JSON);
    assertThat(ContentKind.of(Arrays.copyOf(text, 1024))).contains(ContentKind.JSON);
    assertThat(ContentKind.of(Arrays.copyOf(text, 1025))).contains(ContentKind.JSON);
  }

  @Test
  void chanceBytesAreNothing() {
    Random random = new Random(5);
    int known = 0;
    for (int i = 0; i < 10_000; i++) {
      byte[] bytes = new byte[16 + random.nextInt(600)];
      random.nextBytes(bytes);
      known += ContentKind.of(bytes).isPresent() ? 1 : 0;
    }
    // Two bytes are the start of a JPEG XL codestream, and two the mark of UTF-16.
    assertThat(known).isLessThan(10);
  }

  @ParameterizedTest
  @EnumSource(ContentKind.class)
  void aSentenceSaysWhatToDoAndNeverToDelete(ContentKind kind) {
    assertThat(kind.sentence()).isEqualTo("it is " + kind.what() + ": " + kind.advice());
    assertThat(kind.sentence()).doesNotContainIgnoringCase("remove").doesNotContain("delete");
    assertThat(kind.advice()).isNotBlank().doesNotEndWith(".");
  }

  @Test
  void onlyPicturesAreImages() {
    Set<ContentKind> images = EnumSet.noneOf(ContentKind.class);
    Arrays.stream(ContentKind.values()).filter(ContentKind::isImage).forEach(images::add);

    assertThat(images)
        .contains(ContentKind.AVIF, ContentKind.JPEG_XL, ContentKind.JPEG_2000, ContentKind.HEIC)
        .doesNotContain(ContentKind.BASE64_IMAGE, ContentKind.PDF, ContentKind.VIDEO);
    assertThat(Optional.of(ContentKind.LFS_POINTER).map(ContentKind::sentence))
        .contains("it is a Git LFS pointer: run git lfs pull in the folder it came from");
  }

  @Test
  void gzipIsKnownAsTheJdkWritesIt() throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(bytes)) {
      gzip.write(1);
    }
    assertThat(ContentKind.of(bytes.toByteArray())).contains(ContentKind.GZIP);
  }

  private static byte[] zip(String name) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      zip.putNextEntry(new ZipEntry(name));
      zip.write(new byte[100]);
    }
    return bytes.toByteArray();
  }

  /** As before POSIX: without the mark {@code ustar}. */
  private static byte[] tarHeader(String name) {
    byte[] header = new byte[512];
    put(header, 0, name);
    put(header, 124, "00000000000");
    put(header, 148, "        ");
    int sum = 0;
    for (byte b : header) {
      sum += b & 0xFF;
    }
    put(header, 148, String.format("%06o", sum));
    header[154] = 0;
    return header;
  }

  private static void put(byte[] bytes, int at, String text) {
    byte[] ascii = text.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(ascii, 0, bytes, at, ascii.length);
  }
}
