package io.github.kklip.tokenize;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.SplitMix64;
import io.github.kklip.tokenize.BytePairVocabulary.Merge;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class BytePairTrainingTest {
  private static final int A = 64;
  private static final int B = 65;
  private static final int C = 66;
  private static final int WORD_END = BytePairVocabulary.BYTES;

  private static String word(int... ids) {
    return new String(ids, 0, ids.length);
  }

  @Test
  void standsInTheOrderOfClipsVocabulary() {
    List<String> tokens = BytePairVocabulary.alphabet().tokens();
    assertThat(tokens).hasSize(512).doesNotHaveDuplicates();
    assertThat(tokens.subList(0, 3)).containsExactly("!", "\"", "#");
    assertThat(tokens.get(A)).isEqualTo("a");
    // The last printable byte is 255; then come bytes 0, 1, ..., and the soft hyphen, 0xAD, last.
    assertThat(tokens.subList(187, 190)).containsExactly("ÿ", "Ā", "ā");
    assertThat(tokens.get(255)).isEqualTo("Ń");
    assertThat(tokens.get(256)).isEqualTo("!</w>");
    assertThat(BytePairVocabulary.alphabet().endId()).isEqualTo(513);
  }

  @Test
  void mergesTheMostFrequentPairFirst() {
    // aab: 3, ab: 2, bc: 4 times; the last symbol of a word is another one than inside.
    // Pairs: (a,a) 3, (a,b.) 5, (b,c.) 4. Then ab. is one: (a,ab.) 3.
    Map<String, Long> words =
        Map.of(
            word(A, A, B + WORD_END), 3L,
            word(A, B + WORD_END), 2L,
            word(B, C + WORD_END), 4L);
    BytePairVocabulary vocabulary = BytePairTraining.learn(words, 1000, 1);
    assertThat(vocabulary.merges())
        .containsExactly(new Merge(A, B + WORD_END), new Merge(B, C + WORD_END), new Merge(A, 512));
    assertThat(vocabulary.tokens().subList(512, 515))
        .containsExactly("ab</w>", "bc</w>", "aab</w>");
    assertThat(vocabulary.size()).isEqualTo(517);
    assertThat(vocabulary.startId()).isEqualTo(515);
    assertThat(vocabulary.endId()).isEqualTo(516);
  }

  @Test
  void stopsAtTheSizeAndAtTheLeastFrequency() {
    Map<String, Long> words = Map.of(word(A, A, B + WORD_END), 3L, word(B, C + WORD_END), 4L);
    assertThat(BytePairTraining.learn(words, 514, 1).merges()).isEmpty();
    assertThat(BytePairTraining.learn(words, 515, 1).merges())
        .containsExactly(new Merge(B, C + WORD_END));
    assertThat(BytePairTraining.learn(words, 1000, 4).merges())
        .containsExactly(new Merge(B, C + WORD_END));
    assertThat(BytePairTraining.learn(Map.of(), 1000, 1).size()).isEqualTo(514);
  }

  @Test
  void breaksTiesByTheSmallerIds() {
    Map<String, Long> words =
        Map.of(
            word(B, B + WORD_END), 2L,
            word(A, C + WORD_END), 2L,
            word(A, B + WORD_END), 2L);
    assertThat(BytePairTraining.learn(words, 1000, 1).merges())
        .containsExactly(
            new Merge(A, B + WORD_END), new Merge(A, C + WORD_END), new Merge(B, B + WORD_END));
  }

  @Test
  void equalsRecountingEverythingAfterEachMerge() {
    for (int seed = 0; seed < 20; seed++) {
      SplitMix64 random = new SplitMix64(seed);
      Map<String, Long> words = new HashMap<>();
      for (int i = 0; i < 60; i++) {
        int[] ids = new int[1 + random.nextInt(9)];
        for (int k = 0; k < ids.length; k++) {
          // Three letters make runs such as aaaa, whose pairs overlap.
          ids[k] = A + random.nextInt(3) + (k == ids.length - 1 ? WORD_END : 0);
        }
        words.merge(word(ids), 1L + random.nextInt(5), Long::sum);
      }
      assertThat(BytePairTraining.learn(words, 600, 2))
          .as("seed %s", seed)
          .isEqualTo(naive(words, 600, 2));
    }
  }

  private static BytePairVocabulary naive(Map<String, Long> words, int vocabSize, int least) {
    List<String> tokens = new ArrayList<>(BytePairVocabulary.alphabet().tokens());
    List<Merge> merges = new ArrayList<>();
    Map<List<Integer>, Long> split = new LinkedHashMap<>();
    words.forEach((word, count) -> split.put(word.chars().boxed().toList(), count));
    while (tokens.size() < vocabSize - 2) {
      // Sorted by ids, so that the first of the most frequent ones wins.
      Map<Integer, TreeMap<Integer, Long>> counts = new TreeMap<>();
      for (Map.Entry<List<Integer>, Long> word : split.entrySet()) {
        for (int i = 0; i + 1 < word.getKey().size(); i++) {
          counts
              .computeIfAbsent(word.getKey().get(i), k -> new TreeMap<>())
              .merge(word.getKey().get(i + 1), word.getValue(), Long::sum);
        }
      }
      Merge best = null;
      long most = least - 1L;
      for (Map.Entry<Integer, TreeMap<Integer, Long>> left : counts.entrySet()) {
        for (Map.Entry<Integer, Long> right : left.getValue().entrySet()) {
          String token = tokens.get(left.getKey()) + tokens.get(right.getKey());
          if (right.getValue() > most && !tokens.contains(token)) {
            most = right.getValue();
            best = new Merge(left.getKey(), right.getKey());
          }
        }
      }
      if (best == null) {
        break;
      }
      tokens.add(tokens.get(best.left()) + tokens.get(best.right()));
      merges.add(best);
      Map<List<Integer>, Long> next = new LinkedHashMap<>();
      for (Map.Entry<List<Integer>, Long> word : split.entrySet()) {
        List<Integer> merged = new ArrayList<>();
        for (int id : word.getKey()) {
          int last = merged.size() - 1;
          if (last >= 0 && merged.get(last) == best.left() && id == best.right()) {
            merged.set(last, tokens.size() - 1);
          } else {
            merged.add(id);
          }
        }
        next.merge(merged, word.getValue(), Long::sum);
      }
      split.clear();
      split.putAll(next);
    }
    return new BytePairVocabulary(tokens, merges);
  }
}
