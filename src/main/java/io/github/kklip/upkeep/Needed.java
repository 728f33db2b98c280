package io.github.kklip.upkeep;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.TrainState;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.SortedSet;
import java.util.TreeMap;
import java.util.TreeSet;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/**
 * The files of a dataset that somebody needs, as its manifests and the runs say.
 *
 * @param newest number of the newest manifest; 0: the dataset is of format 1
 * @param manifests numbers of those that stay: the newest, those of runs, and those that were the
 *     newest not long ago, which a job may still read by
 * @param files what these and the checkpoints of the runs name
 * @param removal number of the last takedown's manifest, where what it replaced is to go; else -1
 * @param superseded what only manifests before that one name, and no run uses
 */
record Needed(
    long newest,
    SortedSet<Long> manifests,
    Set<String> files,
    long removal,
    Set<String> superseded) {

  /**
   * Reads manifests and runs.
   *
   * @param now by the clock of the storage, milliseconds since 1970
   * @param olderThan for so many milliseconds a manifest stays after another one has followed it
   * @param removedNow whether files of before the last takedown are needed only by runs
   * @throws SettingsException when a run cannot be read
   */
  static Needed of(DatasetFolder folder, long now, long olderThan, boolean removedNow)
      throws IOException {
    DatasetManifest newest = folder.requireManifest();
    NavigableMap<Long, FileStatus> numbers =
        ManifestFiles.list(folder.configuration(), folder.root());
    SortedSet<Long> ofRuns = new TreeSet<>();
    Set<String> files = new HashSet<>();
    for (Map.Entry<String, RegisteredRun> run : runs(folder).entrySet()) {
      boolean known =
          run.getValue().manifest() == 0 || numbers.containsKey(run.getValue().manifest());
      if (known) {
        ofRuns.add(run.getValue().manifest());
      }
      addCheckpoints(folder, run, known, files);
    }
    NavigableMap<Long, DatasetManifest> all = new TreeMap<>();
    ManifestFiles.format1(folder.configuration(), folder.root())
        .ifPresent(first -> all.put(0L, first));
    for (long number : numbers.keySet()) {
      all.put(number, ManifestFiles.read(folder.configuration(), folder.root(), number));
    }
    SortedSet<Long> kept = new TreeSet<>(ofRuns);
    kept.add(newest.number());
    for (long number : all.headMap(newest.number()).keySet()) {
      long followed = numbers.higherEntry(number).getValue().getModificationTime();
      if (now - followed < olderThan) {
        kept.add(number);
      }
    }
    long removal = removedNow ? lastRemoval(all) : -1;
    kept.removeIf(number -> number < removal && !ofRuns.contains(number));
    kept.forEach(number -> files.addAll(named(all.get(number))));
    Set<String> superseded = new HashSet<>();
    all.headMap(Math.max(0, removal)).values().forEach(older -> superseded.addAll(named(older)));
    superseded.removeAll(files);
    return new Needed(newest.number(), kept, files, removal, superseded);
  }

  /** Whether a manifest goes because a takedown has replaced it. */
  boolean goes(long number) {
    return number < removal && !manifests.contains(number);
  }

  private static Map<String, RegisteredRun> runs(DatasetFolder folder) {
    try {
      return RegisteredRun.list(folder);
    } catch (IOException e) {
      throw new SettingsException(
          message(
              "Cannot tell which files of the dataset %s are needed because a registered run cannot be read: %s Remove its registration by --forget NAME, the name of that file without .json.",
              folder.root(), e.getMessage()),
          e);
    }
  }

  /** What the checkpoints of a run name, which must be readable. */
  private static void addCheckpoints(
      DatasetFolder folder,
      Map.Entry<String, RegisteredRun> run,
      boolean known,
      Set<String> files) {
    Configuration configuration = folder.configuration();
    String output = run.getValue().output();
    try {
      Path path = Storage.path(output, configuration);
      if (!Storage.of(configuration, path).exists(path)) {
        throw new FileNotFoundException(message("there is no %s", path));
      }
      List<TrainState> states = CheckpointStore.states(output, configuration);
      if (states.isEmpty() && !known) {
        throw new FileNotFoundException(
            message(
                "it has no checkpoint, and the manifest %s that it began with is gone",
                run.getValue().manifest()));
      }
      for (TrainState state : states) {
        state.shards().forEach(shard -> files.add(shard.file()));
        if (state.derived() != null) {
          files.addAll(state.derived().all());
        }
      }
    } catch (IOException | RuntimeException e) {
      throw new SettingsException(
          message(
              "Cannot tell which files of the dataset %s are needed because the registered run %s (%s) cannot be read: %s. Bring it back, or remove its registration by --forget %s.",
              folder.root(), output, run.getKey(), e.getMessage(), output),
          e);
    }
  }

  /** The number of the last manifest that has more takedowns than the one before; -1: none. */
  private static long lastRemoval(NavigableMap<Long, DatasetManifest> all) {
    long last = -1;
    int removed = 0;
    for (Map.Entry<Long, DatasetManifest> manifest : all.entrySet()) {
      if (manifest.getValue().removed().size() > removed) {
        last = manifest.getKey();
      }
      removed = manifest.getValue().removed().size();
    }
    return last;
  }

  /** The files of a manifest, and the pages that stand beside its clusterings. */
  private static Set<String> named(DatasetManifest manifest) {
    Set<String> files = new HashSet<>(manifest.files());
    for (Map.Entry<String, ConceptManifest> labels : manifest.concepts().entrySet()) {
      String folder = "concepts/" + labels.getKey() + "/";
      String made = labels.getValue().made();
      files.add(folder + "concepts-" + made + ".html");
      files.add(folder + "quality-" + made + ".json");
      if (manifest.number() == 0) {
        files.addAll(List.of(folder + "concepts.html", folder + "quality.json"));
      }
    }
    return files;
  }
}
