package io.github.kklip.upkeep;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.TrainState;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The training shards of all registered runs.
 *
 * @param shards by the run's output; those whose files are there
 * @param unknown outputs of runs that cannot be read, or whose files are gone
 */
record TrainedRuns(SortedMap<String, Set<Shard>> shards, List<String> unknown) {
  private static final Logger LOG = LoggerFactory.getLogger(TrainedRuns.class);

  static TrainedRuns of(DatasetFolder folder) throws IOException {
    SortedMap<String, Set<Shard>> shards = new TreeMap<>();
    List<String> unknown = new ArrayList<>();
    for (String name : RegisteredRun.names(folder)) {
      String output = name;
      try {
        RegisteredRun run = RegisteredRun.read(folder, name);
        output = run.output();
        Set<Shard> of = of(folder, run);
        Set<String> files = folder.present(of.stream().map(Shard::file).toList());
        if (of.removeIf(shard -> !files.contains(shard.file()))) {
          throw new IOException(
              message("files that it was trained on are not in %s", folder.root()));
        }
        shards.computeIfAbsent(output, key -> new HashSet<>()).addAll(of);
      } catch (IOException | RuntimeException e) {
        LOG.warn("Cannot tell what the run {} was trained on: {}", output, e.getMessage());
        unknown.add(output);
      }
    }
    return new TrainedRuns(shards, unknown);
  }

  private static Set<Shard> of(DatasetFolder folder, RegisteredRun run) throws IOException {
    Set<Shard> shards = new HashSet<>();
    for (TrainState state : CheckpointStore.states(run.output(), folder.configuration())) {
      shards.addAll(state.shards());
    }
    if (shards.isEmpty()) {
      shards.addAll(
          ManifestFiles.any(folder.configuration(), folder.root(), run.manifest())
              .shards(Split.TRAIN));
    }
    return shards;
  }

  /** The runs that have one of these shards. */
  List<String> with(Set<Shard> some) {
    return shards.entrySet().stream()
        .filter(run -> run.getValue().stream().anyMatch(some::contains))
        .map(Map.Entry::getKey)
        .toList();
  }
}
