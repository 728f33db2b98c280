package io.github.kklip.config;

import static io.github.kklip.config.Message.message;

import java.util.Collection;
import java.util.Comparator;

/** Finds what a mistyped key was meant to be. */
final class KeyHint {
  private KeyHint() {}

  /** The message for a key that is none of {@code known}, all relative to {@code prefix}. */
  static String unknown(String prefix, String key, Collection<String> known) {
    String nearest = known.stream().min(Comparator.comparingInt(k -> distance(key, k))).orElse("");
    return message(
        "Cannot use the setting %s%s: there is none of that name. Did you mean %s%s?",
        prefix, key, prefix, nearest);
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
