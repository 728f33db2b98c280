package io.github.kklip.store;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.util.Locale;

/** How a file of vectors holds its numbers. */
public enum VectorStorage {
  /** A Parquet list of float, {@code array<float>} in Spark. */
  @JsonProperty("float32")
  FLOAT32,
  /**
   * Little-endian IEEE half precision in a fixed-length byte array: half the size, 11 significant
   * bits, at most 65,504.
   */
  @JsonProperty("float16")
  FLOAT16;

  /** The name in files, manifests and settings. */
  public String keyword() {
    return name().toLowerCase(Locale.ROOT);
  }
}
