package io.github.kklip.image;

import java.nio.charset.StandardCharsets;

/** The formats that are read, told apart by their first bytes: names and MIME types often lie. */
public enum ImageFormat {
  JPEG,
  PNG,
  GIF,
  WEBP,
  TIFF,
  BMP;

  /** The format of a file that starts so, or null for none of them. */
  static ImageFormat of(byte[] bytes) {
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
    if (starts(bytes, 0, "II*\0")
        || starts(bytes, 0, "MM\0*")
        || starts(bytes, 0, "II+\0")
        || starts(bytes, 0, "MM\0+")) {
      return TIFF;
    }
    return starts(bytes, 0, "BM") ? BMP : null;
  }

  static boolean starts(byte[] bytes, int at, String latin1) {
    byte[] prefix = latin1.getBytes(StandardCharsets.ISO_8859_1);
    return bytes.length >= at + prefix.length
        && java.util.Arrays.equals(bytes, at, at + prefix.length, prefix, 0, prefix.length);
  }
}
