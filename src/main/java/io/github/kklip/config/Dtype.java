package io.github.kklip.config;

/** A type of numbers that a setting chooses. */
public enum Dtype {
  FLOAT32,
  BFLOAT16,
  FLOAT16
}
