package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.DatasetManifest.SourceCounts;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Datasets of format 1: a manifest for the pairs, one for each set of embeddings, of labels and for
 * the tokenizer, all of which were replaced, and files whose names say their place. They are read
 * as they are; the first job that writes names their files in a manifest of today.
 */
final class Format1 {
  private static final String MANIFEST = "manifest.json";

  private Format1() {}

  /** {@code manifest.json} of the dataset; its sums were written for people. */
  @JsonIgnoreProperties("totals")
  private record Pairs(int format, ProcessingSettings settings, List<Run> generations) {}

  private record Run(
      long input,
      long pairs,
      long rejects,
      long ignored,
      SortedMap<String, Long> reasons,
      List<SourceCounts> sources,
      List<Shard> shards,
      List<String> rejectFiles) {}

  private record Teacher(
      int format,
      ProcessingSettings settings,
      int dimension,
      VectorStorage storage,
      List<Shard> shards,
      long meanRows,
      List<Double> mean) {}

  private record Concepts(
      int format,
      ProcessingSettings settings,
      String teacher,
      int k,
      int dimension,
      double temperature,
      double perplexity,
      int topK,
      double topMass,
      List<Double> inertia,
      List<Long> sizes,
      String centroids,
      List<Shard> shards) {}

  private record Tokenizer(
      int format,
      ProcessingSettings settings,
      long captions,
      long words,
      int vocabSize,
      List<Shard> shards) {}

  /** The dataset as a manifest with number 0; empty when there is none. */
  static Optional<DatasetManifest> read(Configuration configuration, Path root) throws IOException {
    Path file = new Path(root, MANIFEST);
    Optional<Pairs> found = Json.readIfPresent(configuration, file, Pairs.class);
    if (found.isEmpty()) {
      return Optional.empty();
    }
    Pairs pairs = found.get();
    if (pairs.format != 1) {
      throw new IOException(
          message(
              "Cannot read %s because it has format %s, and this version reads formats 1 and %s.",
              file, pairs.format, DatasetManifest.FORMAT));
    }
    List<Generation> generations = new ArrayList<>();
    for (Run run : pairs.generations) {
      generations.add(
          new Generation(
              run.input,
              run.pairs,
              run.rejects,
              run.ignored,
              run.reasons,
              run.sources,
              run.shards,
              run.rejectFiles.stream().map(name -> "rejects/" + name).toList(),
              generations.isEmpty()
                  ? names(configuration, root, "sources", "\\d{5,}\\.txt")
                  : List.of()));
    }
    SortedMap<String, TeacherManifest> teachers = new TreeMap<>();
    for (String name : names(configuration, root, "teachers", ".*")) {
      Json.readIfPresent(configuration, new Path(root, name + "/" + MANIFEST), Teacher.class)
          .ifPresent(
              made ->
                  teachers.put(
                      last(name),
                      new TeacherManifest(
                          made.settings,
                          made.dimension,
                          made.storage,
                          files(name, made.shards),
                          made.meanRows,
                          made.mean)));
    }
    SortedMap<String, ConceptManifest> concepts = new TreeMap<>();
    for (String name : names(configuration, root, "concepts", ".*")) {
      Json.readIfPresent(configuration, new Path(root, name + "/" + MANIFEST), Concepts.class)
          .ifPresent(
              made ->
                  concepts.put(
                      last(name),
                      new ConceptManifest(
                          made.format,
                          made.settings,
                          made.teacher,
                          made.k,
                          made.dimension,
                          made.temperature,
                          made.perplexity,
                          made.topK,
                          made.topMass,
                          made.inertia,
                          made.sizes,
                          made.centroids,
                          name + "/centroids.safetensors",
                          made.settings.digest(),
                          files(name, made.shards))));
    }
    Optional<Tokenizer> trained =
        Json.readIfPresent(configuration, new Path(root, "tokenizer/" + MANIFEST), Tokenizer.class);
    TokenizerManifest tokenizer =
        trained.isEmpty() ? null : tokenizer(configuration, root, trained.get());
    return Optional.of(
        new DatasetManifest(
            DatasetManifest.FORMAT,
            0,
            1,
            pairs.settings,
            generations,
            teachers,
            concepts,
            tokenizer,
            List.of()));
  }

  private static TokenizerManifest tokenizer(Configuration configuration, Path root, Tokenizer made)
      throws IOException {
    return new TokenizerManifest(
        made.settings,
        made.captions,
        made.words,
        made.vocabSize,
        made.shards.stream().map(Shard::identity).toList(),
        "tokenizer",
        names(configuration, root, "tokenizer", "(?!manifest\\.json)\\w.*"));
  }

  private static SortedMap<String, String> files(String folder, List<Shard> shards) {
    SortedMap<String, String> files = new TreeMap<>();
    shards.forEach(shard -> files.put(shard.identity(), folder + "/" + shard.stem() + ".parquet"));
    return files;
  }

  private static String last(String path) {
    return path.substring(path.lastIndexOf('/') + 1);
  }

  /** What a folder holds under such names, as paths inside the dataset, in order. */
  private static List<String> names(
      Configuration configuration, Path root, String folder, String pattern) throws IOException {
    Path path = new Path(root, folder);
    FileSystem fileSystem = Storage.of(configuration, path);
    List<String> names = new ArrayList<>();
    try {
      for (FileStatus status : fileSystem.listStatus(path)) {
        String name = status.getPath().getName();
        if (name.matches(pattern) && !name.startsWith(".")) {
          names.add(folder + "/" + name);
        }
      }
    } catch (FileNotFoundException e) {
      // None.
    }
    names.sort(null);
    return names;
  }
}
