package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.CharBuffer;
import java.nio.charset.CoderResult;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.regex.Pattern;
import java.util.zip.CRC32C;

/**
 * What bytes are, by how they begin. It serves the messages of readers: one that finds other bytes
 * than it reads says what they are and what to do about it. Readers know their own format by
 * themselves.
 */
public enum ContentKind {
  EMPTY("empty", "get the file again; nothing of it arrived"),
  ZEROS("all zero bytes", "get the file again; its content was never written"),
  LFS_POINTER("a Git LFS pointer", "run git lfs pull in the folder it came from"),
  HTML("an HTML page", "open it: it is what a server answered in place of the file; get it again"),
  XML_ERROR(
      "an XML error message of an object store",
      "open it: it says why the store did not give the file; get it again"),
  SVG("an SVG drawing", "draw it to PNG or JPEG before", true),
  XML("XML text", "give the file that it describes"),
  JSON("JSON text", "give the file that it describes, or choose a format that reads JSON"),
  ZIP("a zip archive", "unpack it"),
  PYTORCH("a PyTorch file (a zip archive with a pickle)", "convert it to safetensors"),
  PICKLE("a Python pickle", "convert it in Python to a format without code in it"),
  NUMPY("a NumPy array", "convert it in Python"),
  SAFETENSORS("a safetensors file", "give it where weights are read"),
  GGUF("a GGUF file", "get the same model as safetensors"),
  GZIP("gzip data", "unpack it with gunzip"),
  ZSTD("zstd data", "unpack it with zstd -d"),
  BZIP2("bzip2 data", "unpack it with bunzip2"),
  XZ("xz data", "unpack it with xz -d"),
  LZ4("lz4 data", "unpack it with lz4 -d"),
  SEVEN_ZIP("a 7z archive", "unpack it with 7z x"),
  RAR("a RAR archive", "unpack it with unrar"),
  TAR("a tar archive", "read it as a webdataset source, or unpack it"),
  TFRECORD("a TFRecord file", "convert it to WebDataset archives or Parquet"),
  PARQUET("a Parquet file", "read it as a parquet source"),
  ARROW(
      "Arrow data",
      "write it as Parquet, for Hugging Face's dataset cache with Dataset.to_parquet in Python"),
  ORC("an ORC file", "write it as Parquet"),
  AVRO("an Avro file", "write it as Parquet"),
  SQLITE("an SQLite database", "export its table as Parquet or CSV"),
  HDF5("an HDF5 file", "export it as Parquet or WebDataset archives"),
  PDF("a PDF document", "export its pages as images"),
  AVIF("an AVIF image", "convert it to JPEG, PNG or WebP", true),
  HEIC("a HEIC or HEIF image", "convert it to JPEG, PNG or WebP", true),
  JPEG_XL("a JPEG XL image", "convert it to JPEG, PNG or WebP", true),
  JPEG_2000("a JPEG 2000 image", "convert it to JPEG, PNG or WebP", true),
  PHOTOSHOP("a Photoshop image", "convert it to JPEG, PNG or WebP", true),
  NETPBM("a PBM, PGM or PPM image", "convert it to JPEG, PNG or WebP", true),
  ICON("a Windows icon", "convert it to PNG", true),
  OPEN_EXR("an OpenEXR image", "convert it to JPEG, PNG or WebP", true),
  VIDEO("a video", "take the frames out as images"),
  JPEG("a JPEG image", "read it as an image", true),
  PNG("a PNG image", "read it as an image", true),
  GIF("a GIF image", "read it as an image", true),
  WEBP("a WebP image", "read it as an image", true),
  TIFF("a TIFF image", "read it as an image", true),
  UTF_16_LE("UTF-16 text (little endian)", "write it as UTF-8"),
  UTF_16_BE("UTF-16 text (big endian)", "write it as UTF-8"),
  UTF_32("UTF-32 text", "write it as UTF-8"),
  DATA_URI("a data: URI", "decode what follows its comma to the bytes of the image"),
  BASE64_IMAGE("the base64 text of an image", "decode it to the bytes of the image"),
  URL("a URL as text", "download what it points at before"),
  PATH("the path of a file as text", "put the bytes of the file in its place"),
  TEXT("text", "open it: it may be what a server answered in place of the file");

  /** As many bytes as {@link #of} looks at; fewer are all of a short file. */
  public static final int HEAD_BYTES = 1024;

  private static final int TAR_BLOCK = 512;

  private static final Pattern HTML_START =
      Pattern.compile(
          "(?is)(?:<\\?xml.{0,200}?\\?>)?\\s*(?:<!--.{0,500}?-->\\s*)*"
              + "<(?:!doctype\\s+html|html|head|body|title)\\b.*");
  private static final Pattern XML_ERROR_START =
      Pattern.compile("(?s)(?:<\\?xml.{0,200}?\\?>)?\\s*<(?:\\w+:)?Error\\b.*");
  private static final Pattern SVG_START =
      Pattern.compile(
          "(?is)(?:<\\?xml.{0,200}?\\?>)?\\s*(?:<!(?:--.{0,700}?--|doctype svg.{0,300}?)>\\s*)*"
              + "<(?:svg:)?svg\\b.*");
  private static final Pattern JSON_START =
      Pattern.compile("(?s)(?:\\{\\s*[\"}]|\\[\\s*[\\[{\"\\]\\d-]).*");
  private static final Pattern DATA_URI_START =
      Pattern.compile("(?is)data:[\\w.+-]*/?[\\w.+;=-]*,.*");

  /** How the base64 of JPEG, PNG, GIF, WebP and TIFF begins. */
  private static final Pattern BASE64_START =
      Pattern.compile("(?s)(?:/9j/|iVBORw0KGgo|R0lGOD[dl]h|UklGR|SUkqA|TU0AK)[A-Za-z0-9+/=_\\s-]*");

  private static final Pattern URL_LINE = Pattern.compile("[A-Za-z][A-Za-z0-9+.-]{1,20}://\\S+");
  private static final Pattern PATH_LINE =
      Pattern.compile(
          "(?i)[^<>{}\"|]+\\.(?:jpe?g|png|gif|webp|tiff?|bmp|avif|heic|jxl|jp2|txt|json|csv|tsv|parquet|tar)");

  private static final List<String> AVIF_BRANDS = List.of("avif", "avis");
  private static final List<String> HEIF_BRANDS =
      List.of("heic", "heix", "hevc", "hevx", "heim", "heis", "hevm", "hevs", "mif1", "msf1");

  private final String what;
  private final String advice;
  private final boolean image;

  ContentKind(String what, String advice) {
    this(what, advice, false);
  }

  ContentKind(String what, String advice, boolean image) {
    this.what = what;
    this.advice = advice;
    this.image = image;
  }

  /** What it is, with its article: {@code a Git LFS pointer}. */
  public String what() {
    return what;
  }

  /** What whoever expected something else can do, in the imperative, without a full stop. */
  public String advice() {
    return advice;
  }

  /**
   * For a message: {@code it is a Git LFS pointer: run git lfs pull in the folder it came from}.
   */
  public String sentence() {
    return message("it is %s: %s", what, advice);
  }

  /** Whether it is a picture, of a format that is decoded here or not. */
  public boolean isImage() {
    return image;
  }

  /**
   * What begins so.
   *
   * @param head the first bytes, {@value #HEAD_BYTES} or more, or the whole of what is shorter
   * @return empty when they are nothing that is known here
   */
  public static Optional<ContentKind> of(byte[] head) {
    byte[] bytes = head.length > HEAD_BYTES ? Arrays.copyOf(head, HEAD_BYTES) : head;
    ContentKind kind = binary(bytes);
    return Optional.ofNullable(kind != null ? kind : text(bytes));
  }

  private static ContentKind binary(byte[] bytes) {
    if (bytes.length == 0) {
      return EMPTY;
    }
    ContentKind[] tried = {
      unicode(bytes), archive(bytes), table(bytes), picture(bytes), container(bytes), weights(bytes)
    };
    for (ContentKind kind : tried) {
      if (kind != null) {
        return kind;
      }
    }
    return isTar(bytes) ? TAR : isZero(bytes) ? ZEROS : isTfrecord(bytes) ? TFRECORD : null;
  }

  /** By its mark, or by the zero in every second byte of what is otherwise ASCII. */
  private static ContentKind unicode(byte[] bytes) {
    if (starts(bytes, 0, "\u00ff\u00fe\0\0") || starts(bytes, 0, "\0\0\u00fe\u00ff")) {
      return UTF_32;
    }
    if (starts(bytes, 0, "\u00ff\u00fe")) {
      return UTF_16_LE;
    }
    if (starts(bytes, 0, "\u00fe\u00ff")) {
      return UTF_16_BE;
    }
    boolean little = bytes.length >= 8;
    boolean big = little;
    for (int i = 0; i < Math.min(64, bytes.length & ~1) && (little || big); i += 2) {
      little &= bytes[i + 1] == 0 && isPlain(bytes[i]);
      big &= bytes[i] == 0 && isPlain(bytes[i + 1]);
    }
    return little ? UTF_16_LE : big ? UTF_16_BE : null;
  }

  private static boolean isPlain(byte b) {
    return (b >= ' ' && b < 0x7F) || b == '\n' || b == '\r' || b == '\t';
  }

  private static ContentKind archive(byte[] bytes) {
    if (starts(bytes, 0, "PK\3\4")) {
      return ofZip(bytes);
    }
    if (starts(bytes, 0, "PK\5\6") || starts(bytes, 0, "PK\7\10")) {
      return ZIP;
    }
    if (starts(bytes, 0, "\u001f\u008b\10")) {
      return GZIP;
    }
    boolean skippable =
        bytes.length > 4 && (bytes[0] & 0xF0) == 0x50 && starts(bytes, 1, "*M\u0018");
    if (starts(bytes, 0, "(\u00b5/\u00fd") || skippable) {
      return ZSTD;
    }
    if (starts(bytes, 0, "BZh")
        && (starts(bytes, 4, "1AY&SY") || starts(bytes, 4, "\u0017rE8P\u0090"))) {
      return BZIP2;
    }
    if (starts(bytes, 0, "\u00fd7zXZ\0")) {
      return XZ;
    }
    if (starts(bytes, 0, "\u0004\"M\u0018")) {
      return LZ4;
    }
    if (starts(bytes, 0, "7z\u00bc\u00af'\u001c")) {
      return SEVEN_ZIP;
    }
    return starts(bytes, 0, "Rar!\u001a\u0007") ? RAR : null;
  }

  /** {@code torch.save} writes a zip archive whose first member is {@code NAME/data.pkl}. */
  private static ContentKind ofZip(byte[] bytes) {
    if (bytes.length < 30) {
      return ZIP;
    }
    int length = (bytes[26] & 0xFF) | (bytes[27] & 0xFF) << 8;
    String name =
        new String(bytes, 30, Math.min(length, bytes.length - 30), StandardCharsets.ISO_8859_1);
    if (name.endsWith("data.pkl")
        || name.endsWith("/.format_version")
        || name.endsWith(".storage_alignment")) {
      return PYTORCH;
    }
    return name.endsWith(".npy") ? NUMPY : ZIP;
  }

  private static ContentKind table(byte[] bytes) {
    if (starts(bytes, 0, "PAR1") || starts(bytes, 0, "PARE")) {
      return PARQUET;
    }
    if (starts(bytes, 0, "ARROW1\0\0") || starts(bytes, 0, "FEA1") || isArrowStream(bytes)) {
      return ARROW;
    }
    if (starts(bytes, 0, "ORC") && bytes.length > 3 && bytes[3] < ' ') {
      return ORC;
    }
    if (starts(bytes, 0, "Obj\1")) {
      return AVRO;
    }
    if (starts(bytes, 0, "SQLite format 3\0")) {
      return SQLITE;
    }
    return starts(bytes, 0, "\u0089HDF\r\n\u001a\n") ? HDF5 : null;
  }

  /** Minus one, and the length of the schema's message, a multiple of eight. */
  private static boolean isArrowStream(byte[] bytes) {
    if (!starts(bytes, 0, "\u00ff\u00ff\u00ff\u00ff") || bytes.length < 16) {
      return false;
    }
    int length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(4);
    return length > 0 && length % 8 == 0 && length < 1 << 24;
  }

  private static ContentKind picture(byte[] bytes) {
    if (starts(bytes, 0, "\u00ff\u00d8\u00ff")) {
      return JPEG;
    }
    if (starts(bytes, 0, "\u0089PNG\r\n\u001a\n")) {
      return PNG;
    }
    if (starts(bytes, 0, "GIF87a") || starts(bytes, 0, "GIF89a")) {
      return GIF;
    }
    if (starts(bytes, 0, "RIFF") && starts(bytes, 8, "WEBP")) {
      return WEBP;
    }
    if (starts(bytes, 0, "II*\0") || starts(bytes, 0, "MM\0*")) {
      return TIFF;
    }
    if (starts(bytes, 0, "\u00ff\n") || starts(bytes, 0, "\0\0\0\fJXL \r\n\u0087\n")) {
      return JPEG_XL;
    }
    if (starts(bytes, 0, "\0\0\0\fjP  \r\n\u0087\n") || starts(bytes, 0, "\u00ffO\u00ffQ")) {
      return JPEG_2000;
    }
    if (starts(bytes, 0, "8BPS")) {
      return PHOTOSHOP;
    }
    if (starts(bytes, 0, "v/1\1")) {
      return OPEN_EXR;
    }
    if (starts(bytes, 0, "\0\0\1\0") && bytes.length > 22 && bytes[4] > 0 && bytes[5] == 0) {
      return ICON;
    }
    boolean netpbm =
        bytes.length > 8
            && bytes[0] == 'P'
            && bytes[1] >= '1'
            && bytes[1] <= '7'
            && (bytes[2] == '\n' || bytes[2] == ' ' || bytes[2] == '\r');
    return netpbm ? NETPBM : null;
  }

  /** ISO's base media format, in which the brands say what is in the boxes; and PDF. */
  private static ContentKind container(byte[] bytes) {
    if (starts(bytes, 0, "%PDF-")) {
      return PDF;
    }
    if (starts(bytes, 0, "\u001aE\u00df\u00a3")
        || (starts(bytes, 0, "RIFF") && starts(bytes, 8, "AVI "))) {
      return VIDEO;
    }
    if (!starts(bytes, 4, "ftyp") || bytes.length < 12) {
      return null;
    }
    int size = ByteBuffer.wrap(bytes).getInt();
    int end = Math.min(bytes.length, size < 16 ? 12 : size);
    ContentKind kind = VIDEO;
    for (int at = 8; at + 4 <= end; at += at == 8 ? 8 : 4) {
      String brand = new String(bytes, at, 4, StandardCharsets.ISO_8859_1);
      if (AVIF_BRANDS.contains(brand)) {
        return AVIF;
      }
      kind = HEIF_BRANDS.contains(brand) ? HEIC : kind;
    }
    return kind;
  }

  private static ContentKind weights(byte[] bytes) {
    if (starts(bytes, 0, "GGUF")) {
      return GGUF;
    }
    if (starts(bytes, 0, "\u0093NUMPY")) {
      return NUMPY;
    }
    if (bytes.length > 9 && bytes[8] == '{' && bytes[4] == 0 && starts(bytes, 4, "\0\0\0\0")) {
      return SAFETENSORS;
    }
    // A protocol from 2 on writes its number first, and the opcode STOP last.
    return bytes.length > 3 && (bytes[0] & 0xFF) == 0x80 && bytes[1] >= 2 && bytes[1] <= 5
        ? PICKLE
        : null;
  }

  /** A header whose checksum is right, so also the archives of before POSIX. */
  private static boolean isTar(byte[] bytes) {
    if (bytes.length < TAR_BLOCK || bytes[0] == 0) {
      return false;
    }
    int sum = 0;
    for (int i = 0; i < TAR_BLOCK; i++) {
      sum += i >= 148 && i < 156 ? ' ' : bytes[i] & 0xFF;
    }
    int wanted = 0;
    for (int i = 148; i < 156; i++) {
      byte b = bytes[i];
      if (b >= '0' && b <= '7') {
        wanted = wanted * 8 + b - '0';
      }
    }
    return sum == wanted;
  }

  private static boolean isZero(byte[] bytes) {
    for (byte b : bytes) {
      if (b != 0) {
        return false;
      }
    }
    return bytes.length >= 16;
  }

  /** The length of a record, and the masked CRC-32C of its eight bytes. */
  private static boolean isTfrecord(byte[] bytes) {
    if (bytes.length < 12) {
      return false;
    }
    CRC32C crc = new CRC32C();
    crc.update(bytes, 0, 8);
    int value = (int) crc.getValue();
    int masked = ((value >>> 15) | (value << 17)) + 0xa282ead8;
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(8) == masked;
  }

  private static ContentKind text(byte[] bytes) {
    String decoded = decoded(bytes);
    if (decoded == null) {
      return null;
    }
    String text = (decoded.startsWith("\uFEFF") ? decoded.substring(1) : decoded).strip();
    if (text.startsWith("version https://git-lfs.github.com/spec/")) {
      return LFS_POINTER;
    }
    if (text.startsWith("<")) {
      return SVG_START.matcher(text).matches()
          ? SVG
          : HTML_START.matcher(text).matches()
              ? HTML
              : XML_ERROR_START.matcher(text).matches()
                  ? XML_ERROR
                  : text.startsWith("<?xml") ? XML : TEXT;
    }
    if (JSON_START.matcher(text).matches()) {
      return JSON;
    }
    if (DATA_URI_START.matcher(text).matches()) {
      return DATA_URI;
    }
    if (BASE64_START.matcher(text).matches()) {
      return BASE64_IMAGE;
    }
    if (text.indexOf('\n') < 0 && text.indexOf('\t') < 0) {
      if (URL_LINE.matcher(text).matches()) {
        return URL;
      }
      if (PATH_LINE.matcher(text).matches()) {
        return PATH;
      }
    }
    return TEXT;
  }

  /** Printable UTF-8, of which the last character may be cut; null for anything else. */
  private static String decoded(byte[] bytes) {
    CharBuffer characters = CharBuffer.allocate(bytes.length);
    CoderResult result =
        StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(bytes), characters, false);
    if (result.isError()) {
      return null;
    }
    String text = characters.flip().toString();
    boolean printable =
        text.chars()
            .allMatch(
                c -> (c >= ' ' && c != 0x7F) || c == '\n' || c == '\r' || c == '\t' || c == '\f');
    return printable ? text : null;
  }

  private static boolean starts(byte[] bytes, int at, String latin1) {
    byte[] prefix = latin1.getBytes(StandardCharsets.ISO_8859_1);
    return bytes.length >= at + prefix.length
        && Arrays.equals(bytes, at, at + prefix.length, prefix, 0, prefix.length);
  }
}
