package io.github.kklip.config;

import java.util.Collection;
import java.util.Comparator;

/** Finds what a mistyped key was meant to be. */
final class Nearest {
  private Nearest() {}

  static String unknownKey(String key, String prefix, Collection<String> known) {
    String local = key.startsWith(prefix) ? key.substring(prefix.length()) : key;
    String nearest =
        known.stream().min(Comparator.comparingInt(k -> distance(local, k))).orElse("");
    return "Cannot use the setting "
        + key
        + ": there is none of that name. Did you mean "
        + prefix
        + nearest
        + "?";
  }

  /** Levenshtein distance. */
  static int distance(String a, String b) {
    int[] row = new int[b.length() + 1];
    for (int j = 0; j <= b.length(); j++) {
      row[j] = j;
    }
    for (int i = 1; i <= a.length(); i++) {
      int diagonal = row[0];
      row[0] = i;
      for (int j = 1; j <= b.length(); j++) {
        int substituted = diagonal + (a.charAt(i - 1) == b.charAt(j - 1) ? 0 : 1);
        diagonal = row[j];
        row[j] = Math.min(substituted, Math.min(row[j], row[j - 1]) + 1);
      }
    }
    return row[b.length()];
  }
}
