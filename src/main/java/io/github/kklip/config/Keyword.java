package io.github.kklip.config;

import java.util.Locale;

/** How a choice is written in a configuration. */
public final class Keyword {
  private Keyword() {}

  /** {@code CENTRE_L2} is {@code centre-l2}. */
  public static String of(Enum<?> constant) {
    return of(constant.name());
  }

  /** The same by its name. */
  static String of(String name) {
    return name.toLowerCase(Locale.ROOT).replace('_', '-');
  }
}
