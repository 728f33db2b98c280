package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.junit.jupiter.api.Test;

/** Against archives that Commons Compress writes, and against hostile ones. */
class TarReaderTest {
  private static final String LONG = "folder/".repeat(30) + "long-name.png";

  private static byte[] archive(int longNames, String... names) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, "UTF-8")) {
      tar.setLongFileMode(longNames);
      tar.setBigNumberMode(TarArchiveOutputStream.BIGNUMBER_STAR);
      for (String name : names) {
        TarArchiveEntry entry = new TarArchiveEntry(name, true);
        byte[] data =
            name.endsWith("/") ? new byte[0] : ("data of " + name).getBytes(StandardCharsets.UTF_8);
        entry.setSize(data.length);
        tar.putArchiveEntry(entry);
        tar.write(data);
        tar.closeArchiveEntry();
      }
    }
    return bytes.toByteArray();
  }

  private static List<String> read(byte[] archive, int from) throws IOException {
    List<String> read = new ArrayList<>();
    TarReader tar =
        new TarReader(new ByteArrayInputStream(archive, from, archive.length - from), from);
    for (Archive.Entry entry = tar.next(); entry != null; entry = tar.next()) {
      byte[] data = entry.kind() == Archive.MemberKind.FILE ? tar.read(1 << 20) : new byte[0];
      read.add(Archive.shown(entry.name()) + "=" + new String(data, StandardCharsets.UTF_8));
    }
    return read;
  }

  @Test
  void readsBothWaysOfLongNames() throws IOException {
    for (int mode :
        new int[] {TarArchiveOutputStream.LONGFILE_GNU, TarArchiveOutputStream.LONGFILE_POSIX}) {
      byte[] archive =
          archive(mode, "a.png", "folder/", LONG, "../../etc/passwd", "/etc/shadow", "\u00e4.txt");
      assertThat(read(archive, 0))
          .containsExactly(
              "a.png=data of a.png",
              "folder/=",
              LONG + "=data of " + LONG,
              "../../etc/passwd=data of ../../etc/passwd",
              "/etc/shadow=data of /etc/shadow",
              "\u00e4.txt=data of \u00e4.txt");
    }
  }

  @Test
  void goesOnFromTheOffsetOfAnyMember() throws IOException {
    byte[] archive = archive(TarArchiveOutputStream.LONGFILE_POSIX, "a", LONG, "c");
    TarReader tar = new TarReader(new ByteArrayInputStream(archive), 0);
    List<String> all = read(archive, 0);
    for (int i = 0; i < 3; i++) {
      assertThat(read(archive, (int) tar.next().offset())).isEqualTo(all.subList(i, 3));
    }
  }

  @Test
  void whatIsUnreadIsSkipped() throws IOException {
    TarReader tar = new TarReader(new ByteArrayInputStream(archive(0, "a", "b")), 0);
    tar.next();
    assertThat(tar.read(3)).isNull();
    assertThat(tar.next().name()).isEqualTo("b");
    assertThat(tar.next()).isNull();
  }

  @Test
  void everyTruncationIsAnError() throws IOException {
    byte[] archive = archive(TarArchiveOutputStream.LONGFILE_GNU, "a", LONG);
    int whole = archive.length;
    while (whole > 0 && archive[whole - 1] == 0) {
      whole--;
    }
    // Up to the first block of the end mark.
    for (int length = 0; length <= whole; length += 64) {
      byte[] cut = Arrays.copyOf(archive, length);
      assertThatThrownBy(() -> read(cut, 0))
          .as("%d bytes", length)
          .isInstanceOf(EOFException.class);
    }
  }

  @Test
  void aWrongChecksumIsAnError() throws IOException {
    byte[] archive = archive(0, "a");
    archive[0] = 'b';
    assertThatThrownBy(() -> read(archive, 0))
        .hasMessage("the checksum of a member's header is wrong");
  }

  @Test
  void hugeHeadersAreNotRead() throws IOException {
    byte[] archive = archive(TarArchiveOutputStream.LONGFILE_GNU, LONG);
    byte[] size = "77777777777\0".getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(size, 0, archive, 124, size.length);
    checksum(archive);
    assertThatThrownBy(() -> read(archive, 0))
        .hasMessage("an extension header has 8589934591 bytes, at most 1048576 are read");
  }

  @Test
  void chainsOfHeadersEnd() throws IOException {
    byte[] one = Arrays.copyOf(archive(TarArchiveOutputStream.LONGFILE_GNU, LONG), 1024);
    ByteArrayOutputStream chain = new ByteArrayOutputStream();
    for (int i = 0; i < 100; i++) {
      chain.write(one);
    }
    assertThatThrownBy(() -> read(chain.toByteArray(), 0))
        .hasMessage("a member has more than 64 extension headers");
  }

  @Test
  void sparseFilesAreNamedAndSkipped() throws IOException {
    byte[] archive = archive(0, "sparse.png", "b");
    archive[156] = TarConstants.LF_GNUTYPE_SPARSE;
    checksum(archive);
    TarReader tar = new TarReader(new ByteArrayInputStream(archive), 0);
    assertThat(tar.next().kind()).isEqualTo(Archive.MemberKind.SPARSE);
    assertThat(tar.next().name()).isEqualTo("b");
  }

  @Test
  void sizesOfMoreThanEightGigabytesAreRead() throws IOException {
    byte[] archive = archive(0, "a");
    byte[] size = {(byte) 0x80, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0};
    System.arraycopy(size, 0, archive, 124, size.length);
    checksum(archive);
    TarReader tar = new TarReader(new ByteArrayInputStream(archive), 0);
    assertThat(tar.next().size()).isEqualTo(4L << 32);
    assertThat(tar.read(1 << 20)).isNull();
    assertThatThrownBy(tar::next).isInstanceOf(EOFException.class);
  }

  private static void checksum(byte[] header) {
    Arrays.fill(header, 148, 156, (byte) ' ');
    int sum = 0;
    for (int i = 0; i < 512; i++) {
      sum += header[i] & 0xFF;
    }
    byte[] octal = "%06o\0 ".formatted(sum).getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(octal, 0, header, 148, octal.length);
  }
}
