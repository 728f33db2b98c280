package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPOutputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.commons.compress.archivers.tar.TarConstants;
import org.apache.commons.compress.archivers.zip.Zip64Mode;
import org.apache.commons.compress.archivers.zip.ZipArchiveEntry;
import org.apache.commons.compress.archivers.zip.ZipArchiveOutputStream;
import org.apache.commons.compress.compressors.bzip2.BZip2CompressorOutputStream;
import org.apache.commons.compress.compressors.xz.XZCompressorOutputStream;
import org.apache.commons.compress.compressors.zstandard.ZstdCompressorOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Samples of archives and folders: one picture with its captions, or a reject that says why. */
class SamplesTest {
  @TempDir Path folder;

  /** Members by their names, in this order; the text of a name is its data unless given. */
  private static byte[] tar(String... members) throws IOException {
    return tarIn("UTF-8", members);
  }

  private static byte[] tarIn(String encoding, String... members) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, encoding)) {
      tar.setLongFileMode(TarArchiveOutputStream.LONGFILE_GNU);
      for (String member : members) {
        String name = name(member);
        byte[] data = data(member);
        TarArchiveEntry entry = new TarArchiveEntry(name, true);
        entry.setSize(data.length);
        tar.putArchiveEntry(entry);
        tar.write(data);
        tar.closeArchiveEntry();
      }
    }
    return bytes.toByteArray();
  }

  private static String name(String member) {
    int equals = member.indexOf('=');
    return equals < 0 ? member : member.substring(0, equals);
  }

  private static byte[] data(String member) {
    return member.substring(member.indexOf('=') + 1).getBytes(StandardCharsets.UTF_8);
  }

  private SourceText archive(String keys, String... members) throws IOException {
    return archive(tar(members), keys);
  }

  private SourceText archive(byte[] bytes, String keys, String... assignments) throws IOException {
    Path file = Files.write(folder.resolve("a.tar"), bytes);
    return SourceText.read("webdataset", file, keys, assignments);
  }

  private SourceText files(String keys, String... members) throws IOException {
    Path root = Files.createTempDirectory(folder, "files");
    for (String member : members) {
      Path file = root.resolve(name(member));
      Files.createDirectories(file.getParent());
      Files.write(file, data(member));
    }
    return SourceText.read("folder", root, keys);
  }

  @Test
  void theTextWinsUnlessAFieldIsNamed() throws IOException {
    String[] members = {"0.jpg", "0.json={\"caption\": \"alt\", \"x\": NaN}", "0.txt=text"};
    assertThat(archive("", members).lines()).containsExactly("0.jpg = text");
    assertThat(files("", members).lines()).containsExactly("0.jpg = text");
    for (String named :
        List.of("caption-column = caption2", "caption-column = \"json:caption2\"")) {
      assertThat(archive(named, members).lines()).containsExactly("0.jpg: no-caption");
    }
    // A list that holds the text has more captions than it.
    String[] list = {"0.jpg", "0.json={\"captions\": [\"a\", \"b\", 3]}", "0.txt=b\n"};
    assertThat(archive("", list).lines())
        .containsExactly("0.jpg = a", "0.jpg = b", "0.jpg: json-malformed");
    assertThat(archive("caption-column = txt", list).lines()).containsExactly("0.jpg = b");
    // The name of an extension is that; a field of this name has a prefix.
    assertThat(archive("caption-column = \"json:caption\"", members).lines())
        .containsExactly("0.jpg = alt");
    assertThat(archive("caption-column = \"x;caption2;txt\"", members).lines())
        .containsExactly("0.jpg = text");
    assertThat(archive("caption-column = txt", "0.jpg", "0.json={\"caption\": \"alt\"}").lines())
        .containsExactly("0.jpg: no-caption");
  }

  @Test
  void aCaptionThatCannotBeTakenFallsBackToTheNext() throws IOException {
    String json = ".json={\"caption\": \"\", \"captions\": [\" \", \"b\"], \"text\": \"c\"}";
    for (String bad : List.of(" ", "\n\n", "\uD800".repeat(0))) {
      String[] members = {"0.jpg", "0.txt=" + bad, "0" + json};
      assertThat(archive("", members).lines())
          .containsExactly("0.jpg: caption-too-short", "0.jpg = b");
      assertThat(files("", members).lines())
          .containsExactly("0.jpg: caption-too-short", "0.jpg = b");
    }
    assertThat(archive("", "0.jpg", "0.caption=x", "0.txt= ").lines()).containsExactly("0.jpg = x");
    // None can be taken: the first one tells why.
    SourceText none = archive("", "0.jpg", "0.json={", "0.txt= ", "1.jpg", "1.json={");
    assertThat(none.lines()).containsExactly("0.jpg: caption-too-short", "1.jpg: json-malformed");
    assertThat(
            archive(
                    tar("0.jpg", "0.txt=" + "long ".repeat(500), "0.json={\"text\": \"short\"}"),
                    "",
                    "ingest.max-caption-bytes=1024")
                .lines())
        .containsExactly("0.jpg = short");
  }

  @Test
  void masksAndDepthMapsAreIgnored() throws IOException {
    SourceText text =
        archive("", "0.depth.png", "0.jpg", "0.seg.png", "0.txt=a", "1.jpg", "1.png", "1.txt=b");
    assertThat(text.lines()).containsExactly("0.jpg = a", "1.jpg = b");
    assertThat(text.notes()).isEqualTo(Map.of(Note.OTHER_PICTURES, 3));
    assertThat(archive("image-column = \"seg.png;png\"", "0.jpg", "0.seg.png", "0.txt=a").lines())
        .containsExactly("0.seg.png = a");
    assertThat(files("image-column = \"png\"", "0.jpg", "0.png", "0.txt=a").lines())
        .containsExactly("0.png = a");
  }

  @Test
  void aSampleWithoutItsPictureIsARejectAndNotAPairWithAnother() throws IOException {
    assertThat(archive("image-column = jpg", "0.png", "0.txt=a").lines())
        .containsExactly("0: no-image");
    assertThat(files("image-column = jpg", "0.png", "0.txt=a").lines())
        .containsExactly("0: no-image");
    SourceText lost = archive("", "0.seg.png", "0.txt=a", "1.left.png", "1.right.png", "1.txt=b");
    assertThat(lost.lines()).containsExactly("0: ambiguous-sample", "1: ambiguous-sample");
    assertThat(lost.details().get(1)).contains("image-column", "1.left.png, 1.right.png, 1.txt");
  }

  @Test
  void namesWithDotsAreSamplesOfTheirOwn() throws IOException {
    List<String> members = new ArrayList<>();
    List<String> pairs = new ArrayList<>();
    for (int i = 0; i < 200; i++) {
      members.addAll(List.of("IMG." + i + ".jpg", "IMG." + i + ".txt=caption " + i));
      pairs.add("IMG." + i + ".jpg = caption " + i);
    }
    for (int count : new int[] {2, 8, 200, 400}) {
      String[] some = members.subList(0, count).toArray(new String[0]);
      assertThat(archive("", some).lines()).isEqualTo(pairs.subList(0, count / 2));
      assertThat(files("", some).lines())
          .containsExactlyInAnyOrderElementsOf(pairs.subList(0, count / 2));
    }
    members.add(0, "IMG.json={}");
    SourceText text = archive("", members.toArray(new String[0]));
    assertThat(text.lines()).isEqualTo(pairs);
    assertThat(text.notes()).isEqualTo(Map.of(Note.LONE_TEXTS, 1));
  }

  @Test
  void aPictureWithATextOfItsOwnInsideASampleIsAReject() throws IOException {
    SourceText text = archive("", "v1.2.jpg", "v1.2.txt=b", "v1.jpg", "v1.txt=a");
    assertThat(text.lines()).containsExactly("v1.jpg = a", "v1.2: ambiguous-sample");
    assertThat(text.details()).singleElement().asString().contains("v1.2.jpg, v1.2.txt");
    assertThat(files("", "v1.2.jpg", "v1.2.txt=b", "v1.jpg", "v1.txt=a").lines())
        .containsExactlyInAnyOrder("v1.jpg = a", "v1.2.jpg = b");
  }

  @Test
  void twoOfOneKindAreOneReject() throws IOException {
    SourceText text =
        archive(
            "", "0.jpg=1", "0.jpg=2", "0.txt=a", "1.JPG", "1.jpg", "1.txt=b", "2.jpg", "2.txt=c");
    assertThat(text.lines())
        .containsExactly("0: ambiguous-sample", "1: ambiguous-sample", "2.jpg = c");
    assertThat(text.details().get(1)).contains("1.JPG, 1.jpg, 1.txt");
    assertThat(files("", "a.jpg", "a.jpg.txt=1", "a.png", "a.png.txt=2").lines())
        .containsExactly("a: ambiguous-sample");
    String[] many = new String[3000];
    Arrays.fill(many, "0.jpg");
    assertThat(archive("", many).lines()).containsExactly("0: ambiguous-sample");
    assertThat(archive("", many).details().get(0)).contains("3000 members, at most 1024");
  }

  @Test
  void membersThatStandApartAreRejects() throws IOException {
    SourceText text =
        archive(
            "", "0.jpg", "0.txt=a", "1.jpg", "2.jpg", "2.txt=c", "1.txt=b", "0.json={}", "3.cls");
    assertThat(text.lines())
        .containsExactly(
            "0.jpg = a", "1.jpg: no-caption", "2.jpg = c", "1: members-apart", "0: members-apart");
    assertThat(text.details()).anyMatch(d -> d.contains("between: 1.txt. Write the members"));
    assertThat(archive("", "I.0.jpg", "I.1.jpg", "I.0.txt=a", "I.1.txt=b").lines())
        .containsExactly(
            "I.0.jpg: no-caption",
            "I.1.jpg: no-caption",
            "I.0: members-apart",
            "I.1: members-apart");
  }

  @Test
  void namesAreComparedAsBytes() throws IOException {
    SourceText text =
        archive(
            tarIn(
                "ISO-8859-1",
                "caf\u00e9.jpg",
                "caf\u00e9.txt=one",
                "caf\u00e8.jpg",
                "caf\u00e8.txt=two"),
            "");
    assertThat(text.lines()).containsExactly("caf\u00e9.jpg = one", "caf\u00e8.jpg = two");
    String deep = "d/".repeat(80);
    text =
        archive(
            "",
            deep + "\u732b0.jpg",
            deep + "\u732b0.txt=a",
            deep + "\u732b1.jpg",
            deep + "\u732b1.txt=b");
    assertThat(text.lines()).containsExactly(deep + "\u732b0.jpg = a", deep + "\u732b1.jpg = b");
  }

  @Test
  void clutterIsCountedAndNothingElse() throws IOException {
    String[] members = {
      "._0.jpg",
      "0.jpg",
      "._0.txt",
      "0.txt=a",
      ".DS_Store",
      "__MACOSX/1.jpg",
      "__MACOSX/1.txt",
      "x/.ipynb_checkpoints/2.jpg",
      "x/.ipynb_checkpoints/2.txt",
      "x/Thumbs.db",
      "desktop.ini",
      "_SUCCESS",
      "notes.md"
    };
    for (SourceText text : List.of(archive("", members), files("", members))) {
      assertThat(text.lines()).containsExactly("0.jpg = a");
      assertThat(text.notes()).isEqualTo(Map.of(Note.CLUTTER, 10, Note.OTHER, 1));
    }
    assertThat(Clutter.is("_background/a.jpg")).isFalse();
    assertThat(Clutter.is("./a/../b.jpg")).isFalse();
  }

  @Test
  void foldersArePartsOfKeys() throws IOException {
    assertThat(
            archive(
                    "",
                    "./0.jpg",
                    "./0.txt=a",
                    "/abs/0.jpg",
                    "/abs/0.txt=b",
                    "../0.jpg",
                    "../0.txt=c",
                    "v1.0/x.seg/0.jpg",
                    "v1.0/x.seg/0.txt=d",
                    "v1.0/y/0.jpg",
                    "v1.0/z/0.txt=of another")
                .lines())
        .containsExactly(
            "./0.jpg = a",
            "/abs/0.jpg = b",
            "../0.jpg = c",
            "v1.0/x.seg/0.jpg = d",
            "v1.0/y/0.jpg: no-caption");
  }

  @Test
  void captionsOfOtherTypesAreNoTexts() throws IOException {
    assertThat(
            archive(
                    "",
                    "0.jpg",
                    "0.json={\"caption\": [[\"deeper\"], \"a\"]}",
                    "1.jpg",
                    "1.json={\"caption\": {\"en\": \"a\"}}",
                    "2.jpg",
                    "2.json=[\"a\"]",
                    "3.jpg",
                    "3.json=")
                .lines())
        .containsExactly(
            "0.jpg: json-malformed",
            "0.jpg = a",
            "1.jpg: no-caption",
            "2.jpg: no-caption",
            "3.jpg: no-caption");
  }

  @Test
  void oneSetOfEndings() throws IOException {
    String[] members = {
      "a.JPG",
      "a.TXT=1",
      "b.jpeg",
      "b.caption=2",
      "c.jpg",
      "c.jpg.txt=3",
      "d.png",
      "d.json={\"text\": \"4\"}",
      "e.jpg",
      "e.png.txt=5"
    };
    for (SourceText text : List.of(archive("", members), files("", members))) {
      assertThat(text.lines())
          .containsExactly(
              "a.JPG = 1", "b.jpeg = 2", "c.jpg = 3", "d.png = 4", "e.jpg: no-caption");
    }
  }

  @Test
  void linesAreCaptionsWhereTheDatasetSaysSo() throws IOException {
    String[] members = {"0.jpg", "0.txt=one\n\n two \r\nthree\n", "1.jpg", "1.txt=single\n"};
    String[] each = {"0.jpg = one", "0.jpg = two", "0.jpg = three", "1.jpg = single"};
    SourceText whole = archive("", members);
    assertThat(whole.lines()).containsExactly("0.jpg = one   two  three", "1.jpg = single");
    assertThat(whole.notes()).isEqualTo(Map.of(Note.JOINED_LINES, 1));
    assertThat(archive("captions = whole", members).notes()).isEmpty();
    assertThat(archive("captions = lines", members).lines()).containsExactly(each);
    assertThat(files("captions = lines", members).lines()).containsExactly(each);

    Files.writeString(folder.resolve("dataset_type.txt"), "Retrieval\n");
    assertThat(archive("", members).lines()).containsExactly(each);
    Path split = Files.createDirectories(folder.resolve("test"));
    Path inside = Files.write(split.resolve("0.tar"), tar(members));
    assertThat(SourceText.read("webdataset", inside, "").lines()).containsExactly(each);
    Files.writeString(split.resolve("dataset_type.txt"), "classification");
    assertThat(SourceText.read("webdataset", inside, "").lines()).hasSize(2);
  }

  private interface Pack {
    OutputStream over(OutputStream out) throws IOException;
  }

  private static byte[] packed(Pack pack, byte[] bytes) throws IOException {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (OutputStream out = pack.over(packed)) {
      out.write(bytes);
    }
    return packed.toByteArray();
  }

  private static byte[] together(byte[] left, byte[] right) {
    byte[] both = Arrays.copyOf(left, left.length + right.length);
    System.arraycopy(right, 0, both, left.length, right.length);
    return both;
  }

  @Test
  void packedArchivesAreKnownByTheirBytesAndBombsEnd() throws IOException {
    byte[] one = tar("0.jpg", "0.txt=a");
    byte[] two = tar("1.jpg", "1.txt=b");
    String bomb = "zeros.bin=" + "0".repeat(64 << 20);
    for (Pack pack :
        List.<Pack>of(
            GZIPOutputStream::new,
            ZstdCompressorOutputStream::new,
            BZip2CompressorOutputStream::new,
            XZCompressorOutputStream::new)) {
      // One stream after the other, and one archive after the other in them.
      SourceText text = archive(together(packed(pack, one), packed(pack, two)), "");
      assertThat(text.lines()).containsExactly("0.jpg = a", "1.jpg = b");
      byte[] whole = packed(pack, one);
      assertThat(archive(Arrays.copyOf(whole, whole.length / 2), "").lines())
          .allMatch(line -> line.endsWith("cut-short") || line.endsWith("unreadable"))
          .isNotEmpty();
      SourceText stopped = archive(packed(pack, tar("0.jpg", "0.txt=a", bomb)), "");
      assertThat(stopped.lines()).containsExactly("0.jpg = a", ": cut-short");
      assertThat(stopped.details().get(0)).contains("ingest.max-expansion");
    }
    assertThat(archive("", "BZh1.jpg", "BZh1.txt=c").lines()).containsExactly("BZh1.jpg = c");
  }

  @Test
  void archivesThatFollowEachOtherAreReadOnAndOtherDataIsAReject() throws IOException {
    byte[] one = tar("0.jpg", "0.txt=a");
    assertThat(archive(together(one, tar("1.jpg", "1.txt=b")), "").lines())
        .containsExactly("0.jpg = a", "1.jpg = b");
    SourceText text =
        archive(together(one, "and more".repeat(100).getBytes(StandardCharsets.UTF_8)), "");
    assertThat(text.lines()).containsExactly("0.jpg = a", ": cut-short");
    assertThat(text.details()).containsExactly("what follows the archive's end mark is no archive");
    assertThat(archive(Arrays.copyOf(one, one.length + 100), "").lines())
        .containsExactly("0.jpg = a");
  }

  private static byte[] links(byte type, String target) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes, "UTF-8")) {
      for (String member : new String[] {"0.jpg=picture", "0.txt=a", "1.jpg", "1.txt=b"}) {
        boolean link = member.equals("1.jpg");
        TarArchiveEntry entry =
            link ? new TarArchiveEntry("1.jpg", type) : new TarArchiveEntry(name(member));
        byte[] data = link ? new byte[0] : data(member);
        if (link) {
          entry.setLinkName(target);
        }
        entry.setSize(data.length);
        tar.putArchiveEntry(entry);
        tar.write(data);
        tar.closeArchiveEntry();
      }
    }
    return bytes.toByteArray();
  }

  @Test
  void hardLinksAreReadWhereTheArchiveGivesTheirDataTwice() throws IOException {
    byte[] linked = links(TarConstants.LF_LINK, "0.jpg");
    SourceText text = archive(linked, "");
    assertThat(text.lines()).containsExactly("0.jpg = a", "1.jpg = b");
    assertThat(text.pictures().get(1)).isEqualTo(data("picture"));
    SourceText packed = archive(packed(GZIPOutputStream::new, linked), "");
    assertThat(packed.lines()).containsExactly("0.jpg = a", "1.jpg: link");
    assertThat(packed.details().get(0)).contains("hard link to 0.jpg", "unpack the archive");
    assertThat(archive(links(TarConstants.LF_LINK, "gone.jpg"), "").details())
        .containsExactly("the hard link leads to gone.jpg, which is not there");
    SourceText symbolic = archive(links(TarConstants.LF_SYMLINK, "../0.jpg"), "");
    assertThat(symbolic.lines()).containsExactly("0.jpg = a", "1.jpg: link");
    assertThat(symbolic.details().get(0)).contains("symbolic link to ../0.jpg");
  }

  private static byte[] zip(boolean stored, String... members) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipArchiveOutputStream zip = new ZipArchiveOutputStream(bytes)) {
      zip.setUseZip64(Zip64Mode.Always);
      for (String member : members) {
        ZipArchiveEntry entry = new ZipArchiveEntry(name(member));
        byte[] data = data(member);
        if (stored) {
          entry.setMethod(ZipArchiveEntry.STORED);
          entry.setSize(data.length);
          java.util.zip.CRC32 crc = new java.util.zip.CRC32();
          crc.update(data);
          entry.setCrc(crc.getValue());
        }
        zip.putArchiveEntry(entry);
        zip.write(data);
        zip.closeArchiveEntry();
      }
    }
    return bytes.toByteArray();
  }

  @Test
  void zipArchivesAreReadAndWhatIsCutOffIsAReject() throws IOException {
    String[] members = {"x/", "x/0.jpg", "x/0.txt=a", "x/1.jpg", "x/1.txt=b", "x/1.cls"};
    for (boolean stored : new boolean[] {false, true}) {
      byte[] zip = zip(stored, members);
      SourceText text = archive(zip, "");
      assertThat(text.lines()).containsExactly("x/0.jpg = a", "x/1.jpg = b");
      assertThat(text.notes()).isEqualTo(Map.of(Note.OTHER, 2));
      for (int length = 10; length < zip.length - 22; length += 37) {
        assertThat(archive(Arrays.copyOf(zip, length), "").lines())
            .as("%s bytes", length)
            .anyMatch(line -> line.endsWith("cut-short") || line.endsWith("unreadable"));
      }
    }
    assertThat(archive(zip(false), "").lines()).isEmpty();
    SourceText bomb =
        archive(zip(false, "0.jpg", "0.txt=a", "z.bin=" + "0".repeat(64 << 20), "1.jpg"), "");
    assertThat(bomb.lines()).containsExactly("0.jpg = a", ": cut-short");
    assertThat(bomb.details().get(0)).contains("ingest.max-expansion");
  }

  @Test
  void encryptedEntriesAreRejects() throws IOException {
    byte[] zip = zip(true, "0.jpg", "0.txt=a", "1.jpg", "1.txt=b");
    // The first entry's flag, in its own header.
    zip[6] |= 1;
    SourceText text = archive(zip, "");
    assertThat(text.lines()).containsExactly("0.jpg: unreadable", "1.jpg = b");
    assertThat(text.details()).containsExactly("the member is encrypted");
  }

  @Test
  void aFileIsReadAgainWhenItIsReadInAnotherWay() throws IOException {
    Files.write(folder.resolve("a.tar"), tar("0.jpg", "0.txt=a"));
    List<String> prints = new ArrayList<>();
    for (String keys :
        List.of(
            "",
            ", captions = lines",
            ", captions = whole",
            ", image-column = png",
            ", caption-column = txt")) {
      String source = "{format = webdataset, path = \"" + folder + "\"" + keys + "}";
      Settings settings = Settings.load(List.of(), List.of("ingest.sources=[" + source + "]"));
      prints.add(
          SourceFiles.of(new Configuration(false), 0, settings.ingest().sources().get(0))
              .get(0)
              .fingerprint());
    }
    assertThat(prints).doesNotHaveDuplicates().doesNotContain("");
  }

  @Test
  void piecesOfALongArchiveDoNotCutASampleAtItsClutter() throws IOException {
    List<String> members = new ArrayList<>();
    List<String> pairs = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      members.addAll(
          List.of("._" + i + ".jpg", i + ".jpg", "._" + i + ".txt", i + ".txt=caption " + i));
      pairs.add(i + ".jpg = caption " + i);
    }
    SourceText text = archive(tar(members.toArray(new String[0])), "", "ingest.split-bytes=65536");
    assertThat(text.lines()).isEqualTo(pairs);
    assertThat(text.notes()).isEqualTo(Map.of(Note.CLUTTER, 600));
  }
}
