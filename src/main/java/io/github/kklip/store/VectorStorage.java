package io.github.kklip.store;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Locale;

/** How a file of vectors holds its numbers, little-endian in fixed-length byte arrays. */
public enum VectorStorage {
  /** IEEE single precision. */
  @JsonProperty("float32")
  FLOAT32(Float.BYTES),
  /** IEEE half precision: half the size, 11 significant bits, at most 65,504. */
  @JsonProperty("float16")
  FLOAT16(Short.BYTES);

  private final int bytes;

  VectorStorage(int bytes) {
    this.bytes = bytes;
  }

  /** Bytes of one number. */
  public int bytes() {
    return bytes;
  }

  /** The name in files, manifests and settings. */
  public String keyword() {
    return name().toLowerCase(Locale.ROOT);
  }
}
