package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.Serializable;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What a dataset is made of. It is written last, whole: a file that it does not name is not part of
 * the dataset. It holds no times and no hosts, so that equal work gives equal bytes.
 *
 * @param format version of this layout
 * @param settings the processing settings that all generations share
 * @param generations one for each run of ingest that found new pairs
 */
public record DatasetManifest(int format, ProcessingSettings settings, List<Generation> generations)
    implements Serializable {
  /** The layout that this program writes. */
  public static final int FORMAT = 1;

  public DatasetManifest {
    generations = List.copyOf(generations);
  }

  /**
   * One run of ingest. {@code input = pairs + rejects}.
   *
   * @param input candidates that the sources held
   * @param ignored archive members that are no candidates
   * @param reasons rejects by reason
   * @param sources what came from each source, in the order of the settings
   * @param rejectFiles names inside rejects/
   */
  public record Generation(
      long input,
      long pairs,
      long rejects,
      long ignored,
      SortedMap<String, Long> reasons,
      List<SourceCounts> sources,
      List<Shard> shards,
      List<String> rejectFiles)
      implements Serializable {
    public Generation {
      sources = List.copyOf(sources);
      reasons = Collections.unmodifiableSortedMap(new TreeMap<>(reasons));
      shards = List.copyOf(shards);
      rejectFiles = List.copyOf(rejectFiles);
      if (input != pairs + rejects
          || rejects != reasons.values().stream().mapToLong(Long::longValue).sum()
          || pairs != shards.stream().mapToLong(Shard::rows).sum()) {
        throw new IllegalArgumentException(
            message(
                "Cannot count a generation because its numbers disagree: input %s, pairs %s in shards %s, rejects %s by reason %s.",
                input, pairs, shards, rejects, reasons));
      }
    }
  }

  /**
   * What one source held that no earlier run had seen. {@code input = pairs + rejects}.
   *
   * @param path as the settings name it
   */
  public record SourceCounts(
      String format, String path, double weight, long input, long pairs, long rejects, long ignored)
      implements Serializable {}

  /** The sums over all generations. */
  public record Totals(
      long input,
      long pairs,
      long train,
      long validation,
      long rejects,
      long ignored,
      SortedMap<String, Long> reasons) {}

  /** The sums over all generations; written into the file for people, recomputed on reading. */
  @JsonProperty(access = JsonProperty.Access.READ_ONLY)
  public Totals totals() {
    SortedMap<String, Long> reasons = new TreeMap<>();
    generations.forEach(g -> g.reasons.forEach((reason, n) -> reasons.merge(reason, n, Long::sum)));
    return new Totals(
        generations.stream().mapToLong(Generation::input).sum(),
        generations.stream().mapToLong(Generation::pairs).sum(),
        rows(Split.TRAIN),
        rows(Split.VALIDATION),
        generations.stream().mapToLong(Generation::rejects).sum(),
        generations.stream().mapToLong(Generation::ignored).sum(),
        reasons);
  }

  /** All shards of both splits, by generation, split and index. */
  public List<Shard> shards() {
    return generations.stream().flatMap(g -> g.shards.stream()).toList();
  }

  /** The shards of one split by index. */
  public List<Shard> shards(Split split) {
    return shards().stream().filter(shard -> shard.split() == split).toList();
  }

  /** Rows of one split. */
  public long rows(Split split) {
    return shards(split).stream().mapToLong(Shard::rows).sum();
  }
}
