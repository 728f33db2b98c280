package io.github.kklip.ingest;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Keyword;
import io.github.kklip.ingest.sources.Note;
import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.store.DatasetManifest.SourceCounts;
import io.github.kklip.store.DatasetManifest.Totals;
import io.github.kklip.store.Split;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.broadcast.Broadcast;

/** Counts of candidates, by source, kind and reason. */
final class Tally {
  /** Followed by the prefix of the split. */
  private static final String ROW = "row ";

  /** Followed by a {@link Note}. */
  private static final String NOTED = "noted ";

  private final Map<String, Long> counts;

  private Tally(Map<String, Long> counts) {
    this.counts = counts;
  }

  /**
   * What has to be known of one candidate without its image.
   *
   * @param source its index
   * @param key sort key and place in the sources ({@link CandidateIterator})
   * @param accepted whether it is a row, or equal to one
   * @param reason of a reject, or what is counted beside candidates; empty for a row
   * @param count of what is counted beside candidates; else 1
   */
  record Fact(
      int source,
      String key,
      boolean accepted,
      String imageId,
      long hash,
      String reason,
      long count)
      implements java.io.Serializable {
    /**
     * @param sources the source of each unit
     */
    static Fact of(String key, Candidate candidate, int[] sources) {
      int source = sources[CandidateIterator.unit(key)];
      if (candidate instanceof Candidate.Accepted accepted) {
        return new Fact(source, key, true, accepted.pair().imageId(), accepted.hash(), "", 1);
      }
      if (candidate instanceof Candidate.Rejected rejected) {
        return new Fact(source, key, false, "", 0, rejected.reject().reason(), 1);
      }
      Candidate.Noted noted = (Candidate.Noted) candidate;
      return new Fact(source, key, false, "", 0, noted(noted.note()), noted.count());
    }

    boolean isRow() {
      return accepted;
    }

    /** The sort key of a row. */
    String row() {
      return key.substring(0, Layout.ROW_KEY_LENGTH);
    }

    /** Place in the sources. */
    String order() {
      return key.substring(key.indexOf('#') + 1);
    }

    /** Where it is, or would be if it were a row. */
    Split split() {
      return Layout.split(key);
    }

    /** Whether it stays one, or equal to one. */
    boolean isRow(Exclusions exclusions) {
      return accepted && exclusions.of(split(), imageId) == null;
    }

    /** What decides how it is written. */
    String line(Exclusions exclusions) {
      Problem problem = accepted ? exclusions.of(split(), imageId) : null;
      return key + " " + reason + (problem == null ? "" : " " + problem.reason());
    }
  }

  /**
   * @param exclusions rows that do not become part of their split
   */
  static Tally of(JavaRDD<Fact> facts, Broadcast<Exclusions> exclusions) {
    return new Tally(
        facts.aggregate(
            new HashMap<String, Long>(),
            (counts, fact) -> {
              String kind = kind(fact, exclusions.value());
              counts.merge(fact.source + "|" + kind, fact.count, Long::sum);
              return counts;
            },
            (left, right) -> {
              right.forEach((label, count) -> left.merge(label, count, Long::sum));
              return left;
            }));
  }

  private static String kind(Fact fact, Exclusions exclusions) {
    if (fact.isRow()) {
      Problem problem = exclusions.of(fact.split(), fact.imageId);
      return problem == null ? ROW + Layout.prefix(fact.split()) : problem.reason();
    }
    return fact.reason;
  }

  private static String noted(Note note) {
    return NOTED + Keyword.of(note);
  }

  /** Rows of a split, those among them that are there twice or more. */
  long rows(Split split) {
    String kind = "|" + ROW + Layout.prefix(split);
    return counts.entrySet().stream()
        .filter(entry -> entry.getKey().endsWith(kind))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /** Whether the source gave candidates, and all of them are rejects of one reason. */
  boolean isOnly(int source, String reason) {
    return kinds(source + "|").equals(Set.of(reason));
  }

  /** Whether all candidates are rejects of one reason. */
  boolean isOnly(String reason) {
    return kinds("").equals(Set.of(reason));
  }

  private Set<String> kinds(String prefix) {
    return counts.keySet().stream()
        .filter(label -> label.startsWith(prefix))
        .map(label -> label.substring(label.indexOf('|') + 1))
        .filter(kind -> !kind.startsWith(NOTED))
        .collect(Collectors.toSet());
  }

  boolean isEmpty(int source) {
    return counts.keySet().stream().noneMatch(label -> label.startsWith(source + "|"));
  }

  private long count(int source, String kind) {
    return counts.getOrDefault(source + "|" + kind, 0L);
  }

  private long ignored(int source) {
    return Arrays.stream(Note.values())
        .filter(Note::isIgnored)
        .mapToLong(note -> count(source, noted(note)))
        .sum();
  }

  /** What was counted beside candidates, of all sources. */
  private long count(Note note) {
    String kind = "|" + noted(note);
    return counts.entrySet().stream()
        .filter(entry -> entry.getKey().endsWith(kind))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /** Captions that were several lines of a text, and may be several captions. */
  long joinedLines() {
    return count(Note.JOINED_LINES);
  }

  /** Candidates of a source that are rows or equal to one. */
  private long rows(int source) {
    return Arrays.stream(Split.values())
        .mapToLong(split -> count(source, ROW + Layout.prefix(split)))
        .sum();
  }

  /** All candidates of a source, rejected ones among them. */
  private long input(int source) {
    return counts.entrySet().stream()
        .filter(entry -> entry.getKey().startsWith(source + "|"))
        .filter(entry -> !entry.getKey().startsWith(source + "|" + NOTED))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  /**
   * @param pairs candidates of each source that became rows; the other accepted ones are duplicates
   * @param before what the dataset held before the run
   */
  IngestResult result(
      List<IngestSettings.SourceSettings> sources,
      Map<Integer, Long> pairs,
      String dataset,
      Totals before) {
    SortedMap<String, Long> reasons = new TreeMap<>();
    List<SourceCounts> bySource = new ArrayList<>();
    for (int i = 0; i < sources.size(); i++) {
      IngestSettings.SourceSettings source = sources.get(i);
      long input = input(i);
      long rows = pairs.getOrDefault(i, 0L);
      bySource.add(
          new SourceCounts(
              source.format().name().toLowerCase(Locale.ROOT),
              source.name(),
              source.weight(),
              input,
              rows,
              input - rows,
              ignored(i)));
      if (rows(i) > rows) {
        reasons.merge(Problem.DUPLICATE, rows(i) - rows, Long::sum);
      }
    }
    counts.forEach(
        (label, count) -> {
          String kind = label.substring(label.indexOf('|') + 1);
          if (!kind.startsWith(ROW) && !kind.startsWith(NOTED)) {
            reasons.merge(kind, count, Long::sum);
          }
        });
    long input = bySource.stream().mapToLong(SourceCounts::input).sum();
    long rows = bySource.stream().mapToLong(SourceCounts::pairs).sum();
    long ignored = bySource.stream().mapToLong(SourceCounts::ignored).sum();
    SortedMap<String, Long> kinds = new TreeMap<>();
    for (Note note : Note.values()) {
      if (note.isIgnored() && count(note) > 0) {
        kinds.put(Keyword.of(note), count(note));
      }
    }
    return new IngestResult(
        input, rows, input - rows, ignored, kinds, reasons, bySource, 0, dataset, before);
  }
}
