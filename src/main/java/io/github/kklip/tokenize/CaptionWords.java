package io.github.kklip.tokenize;

import io.github.kklip.text.StudentTokenizer;
import java.util.HashMap;
import java.util.Map;

/**
 * Counts the words of captions. What a word is (composition, lower case, CLIP's pattern) is decided
 * by the tokenizer itself: a tokenizer with CLIP's form and no merges gives bytes, the last one of
 * each word marked, so that training sees exactly the words that encoding will.
 *
 * <p>A word is a string of alphabet ids, one {@code char} each.
 */
final class CaptionWords implements AutoCloseable {
  private final StudentTokenizer tokenizer =
      StudentTokenizer.parse(
          TokenizerJson.of(BytePairVocabulary.alphabet()).toString(), "the alphabet of bytes");
  private final Map<String, Long> counts = new HashMap<>();

  void add(String caption) {
    StringBuilder word = new StringBuilder();
    for (int id : tokenizer.encode(caption, Integer.MAX_VALUE)) {
      // A special token inside a caption stands between words.
      if (id < BytePairVocabulary.ALPHABET) {
        word.append((char) id);
      }
      if (id >= BytePairVocabulary.BYTES && !word.isEmpty()) {
        counts.merge(word.toString(), 1L, Long::sum);
        word.setLength(0);
      }
    }
  }

  Map<String, Long> counts() {
    return counts;
  }

  @Override
  public void close() {
    tokenizer.close();
  }
}
