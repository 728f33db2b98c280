package io.github.kklip.tokenize;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/**
 * A vocabulary in CLIP's form. Ids 0 to 255 are bytes inside a word and 256 to 511 the same bytes
 * at the end of one; then one token for each merge, in the order of learning; then the start token
 * and, with the highest id, the end token.
 *
 * <p>A token's text shows each byte as one printable character, as GPT-2 does: the printable ones
 * of Latin-1 as themselves, the others from U+0100 on; {@code </w>} marks the end of a word. The
 * bytes stand in the order of CLIP's vocabulary: the printable ones first.
 *
 * @param tokens text by id, without the two special tokens
 * @param merges the merge k made the token 512 + k
 */
record BytePairVocabulary(List<String> tokens, List<Merge> merges) {
  static final int BYTES = 256;

  /** Ids below are bytes: first those inside a word, then those that end one. */
  static final int ALPHABET = 2 * BYTES;

  static final String WORD_END = "</w>";
  static final String START = "<|startoftext|>";
  static final String END = "<|endoftext|>";

  private static final String BYTE_CHARACTERS = byteCharacters();

  /** Two neighbours that become one token. */
  record Merge(int left, int right) {}

  BytePairVocabulary {
    tokens = List.copyOf(tokens);
    merges = List.copyOf(merges);
  }

  /** The vocabulary without merges. */
  static BytePairVocabulary alphabet() {
    List<String> tokens = new ArrayList<>();
    BYTE_CHARACTERS.chars().forEach(c -> tokens.add(Character.toString(c)));
    BYTE_CHARACTERS.chars().forEach(c -> tokens.add((char) c + WORD_END));
    return new BytePairVocabulary(tokens, List.of());
  }

  /** Ids in all, the two special tokens included. */
  int size() {
    return tokens.size() + 2;
  }

  int startId() {
    return tokens.size();
  }

  int endId() {
    return tokens.size() + 1;
  }

  private static String byteCharacters() {
    StringBuilder printable = new StringBuilder();
    StringBuilder others = new StringBuilder();
    for (int value = 0; value < BYTES; value++) {
      char character = new String(new byte[] {(byte) value}, StandardCharsets.ISO_8859_1).charAt(0);
      boolean softHyphen = value == 0xAD;
      if (Character.isISOControl(character) || Character.isSpaceChar(character) || softHyphen) {
        others.append((char) (BYTES + others.length()));
      } else {
        printable.append(character);
      }
    }
    return printable.append(others).toString();
  }
}
