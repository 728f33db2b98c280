package io.github.kklip.tokenize;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.annotation.JsonPropertyOrder;
import io.github.kklip.config.Role;
import io.github.kklip.config.Roles;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.progress.Progress;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Manifests;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.TokenizerManifest;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskCounts;
import io.github.kklip.tasks.TaskProgress;
import io.github.kklip.text.TokenizerFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeSet;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.Tuple2;

/**
 * Trains the student's tokenizer on the training captions of a dataset and writes it to the folder
 * {@code tokenizer} of the dataset. Executors count words, one task for each shard; the driver
 * learns the merges from the counts of the different words.
 *
 * <p>A tokenizer that is there stays, also when the dataset has grown since: its ids are what
 * students were trained with.
 */
public final class TokenizerStage {
  private static final Logger LOG = LoggerFactory.getLogger(TokenizerStage.class);

  /** Of the reduction; words of large datasets would not fit the driver's share of few tasks. */
  private static final int MOST_PARTITIONS = 200;

  /**
   * What the stage did.
   *
   * @param output the tokenizer's folder
   * @param vocabSize ids of the tokenizer, the special ones included
   * @param captions captions it was trained on
   * @param words different words in them
   * @param reused whether it was there already
   */
  @JsonPropertyOrder({"captions", "words", "vocab_size", "reused", "output"})
  public record TokenizerResult(
      String output, int vocabSize, long captions, long words, boolean reused) {}

  private TokenizerStage() {}

  /**
   * Trains the tokenizer, unless a whole one is there.
   *
   * @throws SettingsException when there is one made with other settings, or the dataset is missing
   *     or without training pairs
   * @throws IOException when the dataset is damaged
   */
  public static TokenizerResult run(JavaSparkContext spark, Settings settings) throws IOException {
    DatasetFolder dataset =
        new DatasetFolder(
            Settings.required(settings.dataset(), "dataset"), spark.hadoopConfiguration());
    try (StageLease lease =
        StageLease.ofDataset(
            spark, dataset, dataset.tokenizers(), "tokenizer", settings.leaseExpiry())) {
      DatasetManifest before = dataset.requireManifest();
      List<Shard> shards = before.shards(Split.TRAIN);
      Optional<TokenizerManifest> made = made(settings, dataset, before);
      if (made.isPresent()) {
        Path folder = dataset.file(made.get().folder());
        LOG.info(
            "The tokenizer {} stays: it was trained on {} of the {} training shards",
            folder,
            made.get().shards().size(),
            shards.size());
        return result(dataset, made.get(), true);
      }
      requireTrainingPairs(dataset, shards);
      Map<String, Long> words = countWords(spark, dataset, shards);
      BytePairVocabulary vocabulary =
          BytePairTraining.learn(
              words, settings.tokenizer().vocabSize(), settings.tokenizer().minFrequency());
      if (vocabulary.size() < settings.tokenizer().vocabSize()) {
        LOG.warn(
            "The tokenizer has {} ids instead of tokenizer.vocab-size = {}: the captions have no more pairs of symbols that occur tokenizer.min-frequency = {} times",
            vocabulary.size(),
            settings.tokenizer().vocabSize(),
            settings.tokenizer().minFrequency());
      }
      lease.check();
      TokenizerManifest manifest =
          write(
              dataset,
              TokenizerFolder.files(TokenizerJson.of(vocabulary).toString(), 0),
              new TokenizerManifest(
                  processing(settings),
                  shards.stream().mapToLong(Shard::rows).sum(),
                  words.size(),
                  vocabulary.size(),
                  shards.stream().map(Shard::identity).toList(),
                  "",
                  List.of()));
      Manifests.commit(
          dataset,
          before,
          newest -> {
            if (newest.tokenizer() != null) {
              throw new ConflictException(
                  dataset.root(), "a tokenizer", "another job has trained one");
            }
            return newest.with(manifest);
          });
      return result(dataset, manifest, false);
    }
  }

  /** Writes the files into a folder whose name says their content. */
  private static TokenizerManifest write(
      DatasetFolder dataset, Map<String, byte[]> files, TokenizerManifest manifest)
      throws IOException {
    Path folder = new Path(dataset.tokenizers(), TokenizerManifest.folder(files));
    for (Map.Entry<String, byte[]> file : files.entrySet()) {
      Publication.write(dataset.configuration(), new Path(folder, file.getKey()), file.getValue());
    }
    return new TokenizerManifest(
        manifest.settings(),
        manifest.captions(),
        manifest.words(),
        manifest.vocabSize(),
        manifest.shards(),
        dataset.inside(folder),
        new TreeSet<>(files.keySet())
            .stream().map(name -> dataset.inside(new Path(folder, name))).toList());
  }

  /**
   * The tokenizer that is there already; empty when there is none that is whole.
   *
   * @throws io.github.kklip.config.SettingsException when it was made with other settings
   */
  private static Optional<TokenizerManifest> made(
      Settings settings, DatasetFolder dataset, DatasetManifest manifest) {
    Optional<TokenizerManifest> made = Optional.ofNullable(manifest.tokenizer());
    if (made.isPresent()) {
      processing(settings)
          .requireSame(
              made.get().settings(),
              "the tokenizer " + dataset.file(made.get().folder()),
              "another dataset folder");
    }
    return made;
  }

  /**
   * Whether a tokenizer is there, which then stays.
   *
   * @throws io.github.kklip.config.SettingsException when it was made with other settings
   */
  public static boolean isMade(Settings settings, DatasetFolder dataset, DatasetManifest manifest) {
    return made(settings, dataset, manifest).isPresent();
  }

  /** Refuses a dataset that has nothing to train a tokenizer on. */
  public static void requireTrainingPairs(DatasetFolder dataset, List<Shard> shards) {
    if (shards.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot train a tokenizer because the dataset has no training pairs: %s. Look at its rejects, and at ingest.validation-fraction.",
              dataset.root()));
    }
  }

  private static TokenizerResult result(
      DatasetFolder dataset, TokenizerManifest manifest, boolean reused) {
    return new TokenizerResult(
        dataset.file(manifest.folder()).toString(),
        manifest.vocabSize(),
        manifest.captions(),
        manifest.words(),
        reused);
  }

  private static Map<String, Long> countWords(
      JavaSparkContext spark, DatasetFolder dataset, List<Shard> shards) {
    String root = dataset.root().toString();
    PortableConfiguration configuration = new PortableConfiguration(dataset.configuration());
    long captions = shards.stream().mapToLong(Shard::rows).sum();
    try (TaskProgress progress =
        TaskProgress.begin(spark, Progress.of("tokenizer", "captions").total(captions))) {
      TaskCounts counts = progress.counts();
      Map<String, Long> words =
          spark
              .parallelize(shards, shards.size())
              .mapPartitionsToPair(part -> countWords(root, configuration, part, counts))
              .reduceByKey(Long::sum, Math.min(shards.size(), MOST_PARTITIONS))
              .collectAsMap();
      progress.done();
      return words;
    }
  }

  private static Iterator<Tuple2<String, Long>> countWords(
      String root, PortableConfiguration configuration, Iterator<Shard> shards, TaskCounts counts) {
    if (!shards.hasNext()) {
      return Collections.emptyIterator();
    }
    DatasetFolder dataset = new DatasetFolder(root, configuration.get());
    try (CaptionWords words = new CaptionWords()) {
      while (shards.hasNext()) {
        Shard shard = shards.next();
        try (ShardReader<Pair> reader =
            ShardReader.open(configuration.get(), dataset.pairs(shard), PairFormat.CAPTIONS)) {
          if (reader.rows() != shard.rows()) {
            throw new IOException(
                message(
                    "Cannot count the words of %s because it has %s rows and the manifest says %s. Make the dataset again.",
                    dataset.pairs(shard), reader.rows(), shard.rows()));
          }
          for (int group = 0; group < reader.rowGroups(); group++) {
            for (Pair pair : reader.readGroup(group)) {
              words.add(pair.caption());
            }
            counts.done(reader.rows(group));
          }
        }
      }
      return words.counts().entrySet().stream()
          .map(word -> new Tuple2<>(word.getKey(), word.getValue()))
          .iterator();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static ProcessingSettings processing(Settings settings) {
    return new ProcessingSettings(Roles.identity(settings, Role.Output.TOKENIZER, Map.of()));
  }
}
