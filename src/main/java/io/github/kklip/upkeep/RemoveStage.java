package io.github.kklip.upkeep;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Message;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.DataCard;
import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.progress.Progress;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.DatasetManifest.SourceCounts;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Manifests;
import io.github.kklip.store.Manifests.ConflictException;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Takedowns;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.TokenizerManifest;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.tasks.ShardTasks;
import io.github.kklip.tasks.StageLease;
import io.github.kklip.tasks.TaskCounts;
import io.github.kklip.tasks.TaskProgress;
import io.github.kklip.upkeep.RewriteTask.Rewritten;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.SortedMap;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.broadcast.Broadcast;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A takedown: rows leave the pairs, their embeddings and their labels in one commit, and do not
 * come back. Shards that hold such rows are written anew without them; vectors and labels are
 * copied. The mean of embeddings and the centroids stay as they are: what was trained with them
 * keeps its meaning.
 *
 * <p>The replaced files stay on the disk until {@code clean --yes} deletes them.
 */
public final class RemoveStage {
  private static final Logger LOG = LoggerFactory.getLogger(RemoveStage.class);

  private RemoveStage() {}

  /**
   * The ids of a takedown.
   *
   * @param file one id of a row or of an image a line
   * @throws SettingsException when the file is missing or empty, or a line is no id
   */
  public static SortedSet<String> ids(Configuration configuration, String file) throws IOException {
    Path path = Storage.path(file, configuration);
    SortedSet<String> ids = new TreeSet<>();
    String text;
    try (InputStream in = Storage.of(configuration, path).open(path)) {
      text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
    } catch (FileNotFoundException e) {
      throw new SettingsException(
          message("Cannot remove the rows of --ids %s because there is no such file.", file), e);
    }
    List<String> lines = text.lines().toList();
    for (int i = 0; i < lines.size(); i++) {
      String id = lines.get(i).strip().toLowerCase(Locale.ROOT);
      if (!id.isEmpty() && !id.matches("[0-9a-f]{32}")) {
        throw new SettingsException(
            message(
                "Cannot remove the rows of --ids %s because line %s is no id: %s. Give ids of rows (column id) or of images (column image_id), 32 hexadecimal digits each, one a line.",
                file, i + 1, Message.shown(lines.get(i))));
      }
      if (!id.isEmpty()) {
        ids.add(id);
      }
    }
    if (ids.isEmpty()) {
      throw new SettingsException(
          message("Cannot remove the rows of --ids %s because it has no ids.", file));
    }
    return ids;
  }

  /**
   * Takes down the rows with these ids, and those whose images have them.
   *
   * @throws SettingsException when there is no dataset
   * @throws ConflictException when another job has changed the dataset meanwhile
   */
  public static RemoveResult run(JavaSparkContext spark, Settings settings, SortedSet<String> given)
      throws IOException {
    return run(spark, settings, given, () -> {});
  }

  /**
   * @param written called before the commit
   */
  static RemoveResult run(
      JavaSparkContext spark, Settings settings, SortedSet<String> given, Runnable written)
      throws IOException {
    DatasetFolder folder =
        new DatasetFolder(
            Settings.required(settings.dataset(), "dataset"), spark.hadoopConfiguration());
    folder.requireManifest();
    try (StageLease lease =
        StageLease.ofDataset(spark, folder, folder.root(), "remove", settings.leaseExpiry())) {
      DatasetManifest older = folder.requireManifest();
      Found found = find(spark, settings, folder, older.shards(), given);
      List<Shard> touched = older.shards().stream().filter(found.shards::contains).toList();
      Map<Shard, Rewritten> rewritten = rewrite(spark, settings, folder, older, touched, found.ids);
      written.run();
      lease.check();
      DatasetManifest made = commit(folder, older, rewritten, found.ids);
      DataCard.write(spark, folder, made);
      hidePages(folder, made);
      // After the commit: a training that began before it has the rows.
      TrainedRuns runs = TrainedRuns.of(folder);
      Set<Shard> ofRuns = new HashSet<>();
      runs.shards().values().forEach(ofRuns::addAll);
      ofRuns.removeAll(older.shards());
      Set<Shard> seen = new HashSet<>(found.shards);
      seen.addAll(find(spark, settings, folder, new ArrayList<>(ofRuns), found.ids).shards);
      RemoveResult result =
          new RemoveResult(
              folder.root().toString(),
              given.size(),
              rewritten.values().stream().mapToLong(Rewritten::removed).sum(),
              touched.size(),
              runs.with(seen),
              runs.unknown(),
              made.totals());
      report(result);
      return result;
    }
  }

  private static void report(RemoveResult result) {
    LOG.info(
        "{} rows of {} shards are no longer part of {}. Their files stay on the disk until `clean --yes` deletes them, which `--removed-now` lets it do at once. The mean of embeddings and the centroids stay as they are.",
        result.rows(),
        result.shards(),
        result.dataset());
    if (!result.runs().isEmpty()) {
      LOG.warn(
          "These runs were trained on such rows, and so were all models made from them: {}",
          String.join(", ", result.runs()));
    }
  }

  /** What was found in one shard. */
  private record Match(boolean any, SortedSet<String> copied) implements Serializable {}

  /**
   * @param ids with those of rows that a given one is a copy of
   * @param shards with such rows
   */
  private record Found(SortedSet<String> ids, Set<Shard> shards) {}

  private static Found find(
      JavaSparkContext spark,
      Settings settings,
      DatasetFolder folder,
      List<Shard> shards,
      SortedSet<String> given) {
    SortedSet<String> ids = new TreeSet<>(given);
    if (shards.isEmpty()) {
      return new Found(ids, Set.of());
    }
    while (true) {
      List<Match> matches = matches(spark, settings, folder, shards, ids);
      SortedSet<String> more = new TreeSet<>(ids);
      matches.forEach(match -> more.addAll(match.copied));
      if (more.size() == ids.size()) {
        Set<Shard> found = new HashSet<>();
        for (int i = 0; i < shards.size(); i++) {
          if (matches.get(i).any) {
            found.add(shards.get(i));
          }
        }
        return new Found(ids, found);
      }
      ids = more;
    }
  }

  private static List<Match> matches(
      JavaSparkContext spark,
      Settings settings,
      DatasetFolder folder,
      List<Shard> shards,
      SortedSet<String> ids) {
    PortableConfiguration hadoop = new PortableConfiguration(folder.configuration());
    String root = folder.root().toString();
    Broadcast<TreeSet<String>> wanted = spark.broadcast(new TreeSet<>(ids));
    long rows = shards.stream().mapToLong(Shard::rows).sum();
    try (TaskProgress progress =
        TaskProgress.begin(spark, Progress.of("remove", "rows").total(rows))) {
      TaskCounts counts = progress.counts();
      List<Match> matches =
          ShardTasks.run(
              spark,
              "the search for rows to remove",
              settings.threads(),
              shards,
              (shard, place) -> {
                Configuration configuration = hadoop.get();
                return match(
                    new DatasetFolder(new Path(root), configuration),
                    shard,
                    wanted.value(),
                    counts);
              });
      progress.done();
      return matches;
    } finally {
      wanted.destroy();
    }
  }

  private static Match match(DatasetFolder folder, Shard shard, Set<String> ids, TaskCounts counts)
      throws IOException {
    boolean any = false;
    SortedSet<String> copied = new TreeSet<>();
    try (ShardReader<Pair> reader =
        ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.CAPTIONS)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        for (Pair pair : reader.readGroup(group)) {
          if (Takedowns.contains(ids, pair)) {
            any = true;
            if (ids.contains(pair.id())) {
              copied.add(Identity.ofPair(pair.imageId(), pair.caption()));
            }
          }
        }
        counts.done(reader.rows(group));
      }
    }
    return new Match(any, copied);
  }

  private static Map<Shard, Rewritten> rewrite(
      JavaSparkContext spark,
      Settings settings,
      DatasetFolder folder,
      DatasetManifest older,
      List<Shard> touched,
      SortedSet<String> ids) {
    PortableConfiguration hadoop = new PortableConfiguration(folder.configuration());
    List<RewriteTask> tasks = new ArrayList<>();
    for (Shard shard : touched) {
      int generation = 0;
      while (!older.generations().get(generation).shards().contains(shard)) {
        generation++;
      }
      tasks.add(
          new RewriteTask(
              hadoop,
              folder.root().toString(),
              older,
              generation,
              settings.ingest().rowGroupRows(),
              shard));
    }
    Broadcast<TreeSet<String>> gone = spark.broadcast(new TreeSet<>(ids));
    Map<Shard, Rewritten> rewritten = new HashMap<>();
    try (TaskProgress progress =
        TaskProgress.begin(spark, Progress.of("remove", "shards").total(tasks.size()))) {
      TaskCounts counts = progress.counts();
      List<Rewritten> written =
          ShardTasks.run(
              spark,
              "the removal of rows",
              settings.threads(),
              tasks,
              (task, place) -> {
                Rewritten one = task.write(gone.value());
                counts.done(1);
                return one;
              });
      progress.done();
      for (int i = 0; i < touched.size(); i++) {
        rewritten.put(touched.get(i), written.get(i));
      }
    } finally {
      gone.destroy();
    }
    return rewritten;
  }

  private static DatasetManifest commit(
      DatasetFolder folder,
      DatasetManifest older,
      Map<Shard, Rewritten> rewritten,
      SortedSet<String> ids)
      throws IOException {
    List<String> removed = new ArrayList<>(older.removed());
    if (!Takedowns.read(folder, older).containsAll(ids)) {
      removed.add(Takedowns.write(folder, ids));
    }
    DatasetManifest made = without(older, rewritten, removed);
    return Manifests.replace(folder, older, made, "a takedown");
  }

  private static DatasetManifest without(
      DatasetManifest older, Map<Shard, Rewritten> rewritten, List<String> removed) {
    SortedMap<String, TeacherManifest> teachers = new TreeMap<>();
    older
        .teachers()
        .forEach(
            (name, teacher) ->
                teachers.put(
                    name,
                    teacher.with(files(teacher.files(), rewritten, r -> r.teachers(), name))));
    SortedMap<String, ConceptManifest> concepts = new TreeMap<>();
    older
        .concepts()
        .forEach(
            (name, labels) ->
                concepts.put(
                    name, labels.with(files(labels.files(), rewritten, r -> r.concepts(), name))));
    return new DatasetManifest(
        DatasetManifest.FORMAT,
        older.number(),
        older.layout(),
        older.settings(),
        older.generations().stream().map(g -> without(g, rewritten)).toList(),
        teachers,
        concepts,
        tokenizer(older.tokenizer(), rewritten),
        removed);
  }

  private interface FilesByName {
    SortedMap<String, String> of(Rewritten rewritten);
  }

  private static SortedMap<String, String> files(
      SortedMap<String, String> older,
      Map<Shard, Rewritten> rewritten,
      FilesByName kind,
      String name) {
    SortedMap<String, String> files = new TreeMap<>(older);
    rewritten.forEach(
        (shard, made) -> {
          files.remove(shard.identity());
          String file = kind.of(made).get(name);
          if (file != null) {
            files.put(made.shard().identity(), file);
          }
        });
    return files;
  }

  /** It stays, and was made of the rows that are gone, too. */
  private static TokenizerManifest tokenizer(
      TokenizerManifest older, Map<Shard, Rewritten> rewritten) {
    if (older == null) {
      return null;
    }
    Map<String, String> identities = new HashMap<>();
    rewritten.forEach((shard, made) -> identities.put(shard.identity(), made.shard().identity()));
    return older.with(
        older.shards().stream()
            .map(identity -> identities.getOrDefault(identity, identity))
            .filter(identity -> !identity.isEmpty())
            .toList());
  }

  private static Generation without(Generation older, Map<Shard, Rewritten> rewritten) {
    List<Rewritten> here =
        older.shards().stream().map(rewritten::get).filter(Objects::nonNull).toList();
    long gone = here.stream().mapToLong(Rewritten::removed).sum();
    if (gone == 0) {
      return older;
    }
    SortedMap<String, Long> reasons = new TreeMap<>(older.reasons());
    reasons.merge(Problem.REMOVED, gone, Long::sum);
    List<String> rejectFiles = new ArrayList<>(older.rejectFiles());
    here.forEach(made -> rejectFiles.add(made.rejectFile()));
    Map<String, Long> bySource = new HashMap<>();
    here.forEach(made -> made.bySource().forEach((file, n) -> bySource.merge(file, n, Long::sum)));
    return new Generation(
        older.input(),
        older.pairs() - gone,
        older.rejects() + gone,
        older.ignored(),
        reasons,
        sources(older.sources(), bySource),
        older.shards().stream()
            .map(shard -> rewritten.containsKey(shard) ? rewritten.get(shard).shard() : shard)
            .filter(shard -> shard.rows() > 0)
            .toList(),
        rejectFiles,
        older.seenFiles());
  }

  /**
   * Rows count for the source whose path they begin with, as far as it has no wildcards; the
   * longest such path, of those that have pairs left.
   */
  private static List<SourceCounts> sources(
      List<SourceCounts> older, Map<String, Long> removedByFile) {
    long[] gone = new long[older.size()];
    removedByFile.forEach(
        (file, count) -> {
          int best = -1;
          int length = -1;
          for (int i = 0; i < gone.length; i++) {
            String path = older.get(i).path().replaceFirst("[*?{\\[].*", "");
            int matched = file.contains(path) ? path.length() : 0;
            if (matched > length && older.get(i).pairs() - gone[i] >= count) {
              best = i;
              length = matched;
            }
          }
          if (best >= 0) {
            gone[best] += count;
          }
        });
    List<SourceCounts> counts = new ArrayList<>();
    for (int i = 0; i < gone.length; i++) {
      SourceCounts source = older.get(i);
      counts.add(
          new SourceCounts(
              source.format(),
              source.path(),
              source.weight(),
              source.input(),
              source.pairs() - gone[i],
              source.rejects() + gone[i],
              source.ignored()));
    }
    return counts;
  }

  /** The pages of concepts show captions, which may be those that were taken down. */
  private static void hidePages(DatasetFolder folder, DatasetManifest manifest) throws IOException {
    for (Map.Entry<String, ConceptManifest> labels : manifest.concepts().entrySet()) {
      for (String name :
          List.of("concepts-" + labels.getValue().made() + ".html", "concepts.html")) {
        Path page = new Path(folder.concepts(labels.getKey()), name);
        if (Storage.of(folder.configuration(), page).exists(page)) {
          Publication.write(
              folder.configuration(),
              page,
              "<!DOCTYPE html><title>Concepts</title><p>Rows of the dataset were taken down, and with them the captions on this page.\n"
                  .getBytes(StandardCharsets.UTF_8));
        }
      }
    }
  }
}
