package io.github.kklip.image;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.image.ImageRejectedException.TRUNCATED;
import static io.github.kklip.image.ImageRejectedException.UNDECODABLE;
import static io.github.kklip.image.ImageRejectedException.UNSUPPORTED;

import java.util.Arrays;

/**
 * The marker segments of a JPEG file up to its first scan: what decides its size, process and
 * colours. The decoder gets {@link #bare()}, the file without application segments, so that no
 * broken profile, thumbnail or marker order can make it fail or change the colours.
 *
 * @param process the n of the SOFn marker: 0 to 2 are Huffman-coded DCT
 * @param adobeTransform the colour transform of the Adobe marker, -1 without one
 * @param bare the file without APPn and COM segments
 */
record JpegStream(
    int process,
    int precision,
    int width,
    int height,
    byte[] componentIds,
    boolean jfif,
    int adobeTransform,
    int orientation,
    byte[] bare) {

  /** What the samples mean. */
  enum Colours {
    GREY,
    YCC,
    RGB,
    YCCK,
    CMYK
  }

  /** A file with more scans than this makes work, not pictures. */
  private static final int MAX_SCANS = 200;

  private static final int SOI = 0xd8;
  private static final int EOI = 0xd9;
  private static final int SOS = 0xda;
  private static final int APP0 = 0xe0;
  private static final int APP1 = 0xe1;
  private static final int APP14 = 0xee;
  private static final int COM = 0xfe;

  static JpegStream parse(byte[] bytes) throws ImageRejectedException {
    byte[] bare = new byte[bytes.length];
    bare[0] = bytes[0];
    bare[1] = bytes[1];
    int written = 2;
    int process = -1;
    int frame = -1;
    int frameEnd = -1;
    boolean jfif = false;
    int adobe = -1;
    int orientation = 1;
    int at = 2;
    while (true) {
      // Bytes between segments are not allowed, but found; every decoder skips them.
      while (at + 1 < bytes.length
          && !(bytes[at] == (byte) 0xff && (bytes[at + 1] & 0xff) >= 0xc0 && bytes[at + 1] != -1)) {
        at++;
      }
      if (at + 3 >= bytes.length) {
        throw new ImageRejectedException(TRUNCATED, "the JPEG data end before the first scan");
      }
      int marker = bytes[at + 1] & 0xff;
      if (marker >= 0xd0 && marker <= SOI) {
        at += 2;
        continue;
      }
      if (marker == EOI) {
        throw new ImageRejectedException(UNDECODABLE, "the JPEG file has no scan");
      }
      int length = unsignedShort(bytes, at + 2);
      int from = at + 4;
      int to = at + 2 + length;
      if (length < 2 || to > bytes.length) {
        throw new ImageRejectedException(
            to > bytes.length ? TRUNCATED : UNDECODABLE,
            "segment 0x%02x has %d bytes, of which %d are there"
                .formatted(marker, length, bytes.length - at - 2));
      }
      if (marker == APP0) {
        jfif |= length >= 16 && ImageFormat.starts(bytes, from, "JFIF\0");
      } else if (marker == APP14 && length >= 14 && ImageFormat.starts(bytes, from, "Adobe")) {
        adobe = bytes[from + 11] & 0xff;
      } else if (marker == APP1 && ImageFormat.starts(bytes, from, "Exif\0\0")) {
        orientation = Exif.orientation(bytes, from, to);
      } else if (isFrame(marker)) {
        process = marker - 0xc0;
        frame = from;
        frameEnd = to;
      }
      if (marker == SOS) {
        System.arraycopy(bytes, at, bare, written, bytes.length - at);
        written += bytes.length - at;
        break;
      }
      if (marker < APP0 || marker > COM || (marker > 0xef && marker < COM)) {
        System.arraycopy(bytes, at, bare, written, to - at);
        written += to - at;
      }
      at = to;
    }
    if (frame < 0 || frameEnd - frame < 6 || frameEnd - frame < 6 + 3 * (bytes[frame + 5] & 0xff)) {
      throw new ImageRejectedException(UNDECODABLE, "the JPEG file has no whole frame header");
    }
    int height = unsignedShort(bytes, frame + 1);
    int width = unsignedShort(bytes, frame + 3);
    if (width == 0 || height == 0) {
      throw new ImageRejectedException(
          UNSUPPORTED, "its frame header says %d x %d pixels".formatted(width, height));
    }
    if (process == 2) {
      limitScans(bytes, at);
    }
    byte[] ids = new byte[bytes[frame + 5] & 0xff];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = bytes[frame + 6 + 3 * i];
    }
    return new JpegStream(
        process,
        bytes[frame] & 0xff,
        width,
        height,
        ids,
        jfif,
        adobe,
        orientation,
        Arrays.copyOf(bare, written));
  }

  /** By the rules of libjpeg, which every other decoder had to follow. */
  Colours colours() throws ImageRejectedException {
    return switch (componentIds.length) {
      case 1 -> Colours.GREY;
      case 3 -> {
        boolean named = componentIds[0] == 'R' && componentIds[1] == 'G' && componentIds[2] == 'B';
        yield !jfif && (adobeTransform == 0 || (adobeTransform < 0 && named))
            ? Colours.RGB
            : Colours.YCC;
      }
      case 4 -> adobeTransform > 0 ? Colours.YCCK : Colours.CMYK;
      default ->
          throw new ImageRejectedException(
              UNSUPPORTED,
              message("a JPEG of %s components has no known colours", componentIds.length));
    };
  }

  private static boolean isFrame(int marker) {
    return marker >= 0xc0 && marker <= 0xcf && marker != 0xc4 && marker != 0xc8 && marker != 0xcc;
  }

  private static void limitScans(byte[] bytes, int from) throws ImageRejectedException {
    int scans = 0;
    for (int i = from; i + 1 < bytes.length; i++) {
      if (bytes[i] == (byte) 0xff && (bytes[i + 1] & 0xff) == SOS && ++scans > MAX_SCANS) {
        throw new ImageRejectedException(
            UNSUPPORTED,
            message("a progressive JPEG of more than %s scans is only work", MAX_SCANS));
      }
    }
  }

  private static int unsignedShort(byte[] bytes, int at) {
    return (bytes[at] & 0xff) << 8 | (bytes[at + 1] & 0xff);
  }
}
