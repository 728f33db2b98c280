package io.github.kklip.ingest;

import io.github.kklip.config.Settings;
import io.github.kklip.ingest.RewriteTask.Leaving;
import io.github.kklip.ingest.RewriteTask.Rewritten;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.DatasetManifest.SourceCounts;
import io.github.kklip.store.Shard;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.TokenizerManifest;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.tasks.ShardTasks;
import io.github.kklip.tasks.TaskCounts;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * Rows leave a dataset: shards that hold such rows are written anew without them, with their
 * embeddings and labels, and a manifest names the new files. The mean of embeddings, the centroids
 * and the tokenizer stay as they are.
 */
public final class RewrittenShards {
  private RewrittenShards() {}

  /**
   * Writes shards anew.
   *
   * @param touched those of {@code older} that hold rows that leave
   * @param counts counts each shard as one that is done
   */
  public static Map<Shard, Rewritten> write(
      JavaSparkContext spark,
      Settings settings,
      DatasetFolder folder,
      DatasetManifest older,
      List<Shard> touched,
      Leaving leaving,
      TaskCounts counts) {
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
    List<Rewritten> written =
        ShardTasks.run(
            spark,
            "the removal of rows",
            settings.threads(),
            tasks,
            (task, place) -> {
              Rewritten one = task.write(leaving);
              counts.done(1);
              return one;
            });
    Map<Shard, Rewritten> rewritten = new HashMap<>();
    for (int i = 0; i < touched.size(); i++) {
      rewritten.put(touched.get(i), written.get(i));
    }
    return rewritten;
  }

  /**
   * The dataset with the new shards in the place of the old ones. Rows that left count as rejects
   * of the generations that they came with.
   *
   * @param removed as in {@link DatasetManifest}
   */
  public static DatasetManifest without(
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
    long gone = here.stream().mapToLong(Rewritten::left).sum();
    if (gone == 0) {
      return older;
    }
    SortedMap<String, Long> reasons = new TreeMap<>(older.reasons());
    here.forEach(
        made -> made.reasons().forEach((reason, n) -> reasons.merge(reason, n, Long::sum)));
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
}
