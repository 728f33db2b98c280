package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.annotation.JsonInclude;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * All that a dataset is made of: the one place that names its files. A file that it does not name
 * is not part of the dataset. Each commit makes a new one ({@link Manifests}). It holds no times
 * and no hosts, so that equal work gives equal bytes.
 *
 * @param format version of this layout
 * @param number of the commit, from 1; 0 for what an earlier version of this program wrote
 * @param layout number of the folder that new pairs go to: {@code pairs/LAYOUT}
 * @param settings the processing settings that all generations share
 * @param generations one for each run of ingest that looked at something
 * @param teachers embeddings by name
 * @param concepts concept labels by name
 * @param tokenizer the student's; null when there is none yet
 * @param removed files that list the ids of rows and images that were taken down and must not come
 *     back
 */
public record DatasetManifest(
    int format,
    long number,
    int layout,
    ProcessingSettings settings,
    List<Generation> generations,
    SortedMap<String, TeacherManifest> teachers,
    SortedMap<String, ConceptManifest> concepts,
    TokenizerManifest tokenizer,
    List<String> removed)
    implements Serializable {
  /** The layout that this program writes. */
  public static final int FORMAT = 2;

  public DatasetManifest {
    generations = List.copyOf(generations);
    teachers = Collections.unmodifiableSortedMap(new TreeMap<>(teachers));
    concepts = Collections.unmodifiableSortedMap(new TreeMap<>(concepts));
    removed = List.copyOf(removed);
  }

  /** A dataset that holds nothing yet. */
  public static DatasetManifest empty(ProcessingSettings settings) {
    return new DatasetManifest(
        FORMAT,
        0,
        1,
        settings,
        List.of(),
        Collections.emptySortedMap(),
        Collections.emptySortedMap(),
        null,
        List.of());
  }

  /**
   * One run of ingest. {@code input = pairs + rejects}.
   *
   * @param input candidates that the sources held
   * @param ignored archive members that are no candidates
   * @param reasons rejects by reason
   * @param sources what came from each source, in the order of the settings
   * @param rejectFiles inside the dataset's folder
   * @param seenFiles files inside the dataset's folder that list the fingerprints of what was read
   *     to its end
   */
  public record Generation(
      long input,
      long pairs,
      long rejects,
      long ignored,
      SortedMap<String, Long> reasons,
      List<SourceCounts> sources,
      List<Shard> shards,
      List<String> rejectFiles,
      List<String> seenFiles)
      implements Serializable {
    public Generation {
      sources = List.copyOf(sources);
      reasons = Collections.unmodifiableSortedMap(new TreeMap<>(reasons));
      shards = List.copyOf(shards);
      rejectFiles = List.copyOf(rejectFiles);
      seenFiles = List.copyOf(seenFiles);
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

  /**
   * The sums over all generations.
   *
   * @param test left out of JSON where there are none: so it was before there was this split
   */
  public record Totals(
      long input,
      long pairs,
      long train,
      long validation,
      @JsonInclude(JsonInclude.Include.NON_DEFAULT) long test,
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
        rows(Split.TEST),
        generations.stream().mapToLong(Generation::rejects).sum(),
        generations.stream().mapToLong(Generation::ignored).sum(),
        reasons);
  }

  /** All shards, by generation, split and index. */
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

  /** Rows of each split, in the order of the splits. */
  public List<Long> rowsOfSplits() {
    return Arrays.stream(Split.values()).map(this::rows).toList();
  }

  /** The folder that new pairs go to, inside the dataset's. */
  public String pairsFolder() {
    return "pairs/" + layout;
  }

  /** All files that this manifest names, inside the dataset's folder. */
  public List<String> files() {
    List<String> files = new ArrayList<>(removed);
    for (Generation generation : generations) {
      generation.shards.forEach(shard -> files.add(shard.file()));
      files.addAll(generation.rejectFiles);
      files.addAll(generation.seenFiles);
    }
    teachers.values().forEach(teacher -> files.addAll(teacher.files().values()));
    for (ConceptManifest labels : concepts.values()) {
      files.addAll(labels.files().values());
      files.add(labels.centroidsFile());
    }
    if (tokenizer != null) {
      files.addAll(tokenizer.files());
    }
    return files;
  }

  /** The same with one more generation. */
  public DatasetManifest with(Generation generation) {
    List<Generation> more = new ArrayList<>(generations);
    more.add(generation);
    return new DatasetManifest(
        FORMAT, number, layout, settings, more, teachers, concepts, tokenizer, removed);
  }

  /** The same with these embeddings. */
  public DatasetManifest with(String name, TeacherManifest teacher) {
    SortedMap<String, TeacherManifest> more = new TreeMap<>(teachers);
    more.put(name, teacher);
    return new DatasetManifest(
        FORMAT, number, layout, settings, generations, more, concepts, tokenizer, removed);
  }

  /** The same with these labels. */
  public DatasetManifest with(String name, ConceptManifest labels) {
    SortedMap<String, ConceptManifest> more = new TreeMap<>(concepts);
    more.put(name, labels);
    return new DatasetManifest(
        FORMAT, number, layout, settings, generations, teachers, more, tokenizer, removed);
  }

  /** The same with this tokenizer. */
  public DatasetManifest with(TokenizerManifest made) {
    return new DatasetManifest(
        FORMAT, number, layout, settings, generations, teachers, concepts, made, removed);
  }

  /** The same as the commit of this number. */
  DatasetManifest numbered(long commit) {
    return new DatasetManifest(
        FORMAT, commit, layout, settings, generations, teachers, concepts, tokenizer, removed);
  }
}
