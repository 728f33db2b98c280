package io.github.kklip.config;

import java.util.Locale;

/** How a choice is written in a configuration. */
public final class Keyword {
  private Keyword() {}

  /** {@code CENTRE_L2} is {@code centre-l2}. */
  public static String of(Enum<?> constant) {
    return constant.name().toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
