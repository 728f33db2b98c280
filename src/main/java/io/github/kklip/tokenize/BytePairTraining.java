package io.github.kklip.tokenize;

import io.github.kklip.progress.Progress;
import io.github.kklip.tokenize.BytePairVocabulary.Merge;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.PriorityQueue;
import java.util.Set;
import java.util.TreeMap;

/**
 * Learns byte-pair merges from counted words (Sennrich, Haddow, Birch: "Neural Machine Translation
 * of Rare Words with Subword Units", ACL 2016, algorithm 1): as long as there is room, the most
 * frequent pair of neighbours becomes one token.
 *
 * <p>Of equally frequent pairs the one with the smaller left id, then the smaller right id, is
 * merged first: equal counts give equal vocabularies. A pair whose text is a token already (made by
 * another merge) is left alone, so that every merge is one token and every token has one merge.
 *
 * <p>Only words that contain a merged pair are touched: each keeps its symbols, each pair the words
 * it was seen in. The queue holds counts as they were when pushed; one that has changed since is
 * pushed again.
 */
final class BytePairTraining {
  /** A pair of neighbours: its occurrences in all words, and the words that may have it. */
  private static final class SymbolPair {
    long count;
    private int[] words = new int[4];
    private int size;

    void seenIn(int word) {
      // One word's occurrences come one after the other.
      if (size > 0 && words[size - 1] == word) {
        return;
      }
      if (size == words.length) {
        words = Arrays.copyOf(words, 2 * size);
      }
      words[size++] = word;
    }

    int[] words() {
      return Arrays.stream(words, 0, size).distinct().toArray();
    }
  }

  private record MergeCandidate(long count, int left, int right) {}

  private static final Comparator<MergeCandidate> MOST_FREQUENT_FIRST =
      Comparator.comparingLong(MergeCandidate::count)
          .reversed()
          .thenComparingInt(MergeCandidate::left)
          .thenComparingInt(MergeCandidate::right);

  private final int minFrequency;
  private final int[][] symbols;
  private final long[] counts;
  private final List<String> tokens = new ArrayList<>(BytePairVocabulary.alphabet().tokens());
  private final Set<String> known = new HashSet<>(tokens);
  private final List<Merge> merges = new ArrayList<>();
  private final Map<Long, SymbolPair> pairs = new HashMap<>();
  private final PriorityQueue<MergeCandidate> queue = new PriorityQueue<>(MOST_FREQUENT_FIRST);

  private BytePairTraining(Map<String, Long> words, int minFrequency) {
    this.minFrequency = minFrequency;
    symbols = new int[words.size()][];
    counts = new long[words.size()];
    int index = 0;
    for (Map.Entry<String, Long> word : new TreeMap<>(words).entrySet()) {
      symbols[index] = word.getKey().chars().toArray();
      counts[index] = word.getValue();
      index++;
    }
  }

  /**
   * Learns a vocabulary.
   *
   * @param words how often each word occurs; a word is its ids of the alphabet, one {@code char}
   *     each (see {@link CaptionWords})
   * @param vocabSize ids in all at the most; fewer when the words have fewer pairs
   * @param minFrequency pairs that occur less often are not merged
   */
  static BytePairVocabulary learn(Map<String, Long> words, int vocabSize, int minFrequency) {
    BytePairTraining training = new BytePairTraining(words, minFrequency);
    int room = vocabSize - 2;
    try (Progress progress =
        Progress.of("tokenizer", "merges")
            .total(Math.max(0, room - training.tokens.size()))
            .begin()) {
      training.run(room, progress);
      progress.done();
    }
    return new BytePairVocabulary(training.tokens, training.merges);
  }

  private void run(int room, Progress progress) {
    for (int word = 0; word < symbols.length; word++) {
      count(word, 1);
    }
    pairs.forEach(this::push);
    while (tokens.size() < room && !queue.isEmpty()) {
      MergeCandidate candidate = queue.poll();
      long key = key(candidate.left, candidate.right);
      SymbolPair pair = pairs.get(key);
      if (pair == null || pair.count == 0) {
        continue;
      }
      if (pair.count != candidate.count) {
        push(key, pair);
        continue;
      }
      String token = tokens.get(candidate.left) + tokens.get(candidate.right);
      if (known.add(token)) {
        tokens.add(token);
        merges.add(new Merge(candidate.left, candidate.right));
        merge(pair, candidate.left, candidate.right);
        pairs.remove(key);
        progress.add(1);
      }
    }
  }

  /** Replaces the pair by the newest token in every word that has it. */
  private void merge(SymbolPair pair, int left, int right) {
    int token = tokens.size() - 1;
    Set<Long> risen = new HashSet<>();
    for (int word : pair.words()) {
      int[] old = symbols[word];
      int[] merged = replace(old, left, right, token);
      if (merged.length == old.length) {
        continue;
      }
      count(word, -1);
      symbols[word] = merged;
      count(word, 1);
      for (int i = 0; i + 1 < merged.length; i++) {
        if (merged[i] == token || merged[i + 1] == token) {
          risen.add(key(merged[i], merged[i + 1]));
        }
      }
    }
    risen.forEach(key -> push(key, pairs.get(key)));
  }

  private void count(int word, int sign) {
    int[] current = symbols[word];
    for (int i = 0; i + 1 < current.length; i++) {
      SymbolPair pair =
          pairs.computeIfAbsent(key(current[i], current[i + 1]), k -> new SymbolPair());
      pair.count += sign * counts[word];
      if (sign > 0) {
        pair.seenIn(word);
      }
    }
  }

  private void push(long key, SymbolPair pair) {
    if (pair.count >= minFrequency) {
      queue.add(new MergeCandidate(pair.count, (int) (key >>> Integer.SIZE), (int) key));
    }
  }

  private static int[] replace(int[] symbols, int left, int right, int token) {
    int[] result = new int[symbols.length];
    int size = 0;
    for (int i = 0; i < symbols.length; i++) {
      boolean found = i + 1 < symbols.length && symbols[i] == left && symbols[i + 1] == right;
      result[size++] = found ? token : symbols[i];
      i += found ? 1 : 0;
    }
    return Arrays.copyOf(result, size);
  }

  private static long key(int left, int right) {
    return (long) left << Integer.SIZE | right;
  }
}
