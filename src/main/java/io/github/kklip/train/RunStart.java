package io.github.kklip.train;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.Collective;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.Shard;
import io.github.kklip.store.publication.AccessDenied;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.DerivedFiles;
import io.github.kklip.train.plan.TrainPlan;
import io.github.kklip.train.step.Student;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where an attempt at a run begins.
 *
 * @param checkpoint what it goes on from, on rank 0; null on the others, and from the start
 * @param state the checkpoint's, on every rank; null: from the start
 */
record RunStart(Checkpoint checkpoint, TrainState state) {
  private static final Logger LOG = LoggerFactory.getLogger(RunStart.class);

  /**
   * The newest whole checkpoint of the run, for rank 0 to go on from; null when there is none.
   *
   * @throws io.github.kklip.config.SettingsException when it was made with other settings
   */
  static Checkpoint newest(TrainPlan plan, CheckpointStore store) throws IOException {
    Optional<Checkpoint> found = store.newest(true);
    if (found.isEmpty()) {
      return null;
    }
    Checkpoint checkpoint = found.get();
    try {
      checkpoint.state().checkIdentity(plan.identity(), checkpoint.location());
      return checkpoint;
    } catch (RuntimeException e) {
      checkpoint.close();
      throw e;
    }
  }

  /** Gives every rank the state that rank 0 goes on from. All ranks call it together. */
  static RunStart agree(Collective collective, Checkpoint checkpoint) {
    TrainState own = checkpoint == null ? null : checkpoint.state();
    if (collective.size() == 1) {
      return new RunStart(checkpoint, own);
    }
    byte[] json = own == null ? new byte[0] : Json.pretty(own);
    int length = (int) collective.sum(collective.rank() == 0 ? json.length : 0)[0];
    if (length == 0) {
      return new RunStart(null, null);
    }
    ByteBuffer buffer = ByteBuffer.allocateDirect(length).order(ByteOrder.nativeOrder());
    if (collective.rank() == 0) {
      buffer.put(0, json);
    }
    collective.broadcast(buffer, 0).await();
    byte[] received = new byte[length];
    buffer.get(0, received);
    return new RunStart(
        checkpoint, Json.parse(new String(received, StandardCharsets.UTF_8), TrainState.class));
  }

  /** Steps that are done. */
  long step() {
    return state == null ? 0 : state.step();
  }

  /** What the last of them told; null from the start. */
  StepReport last() {
    return state == null ? null : state.last();
  }

  /** Whether all steps of the run are done. */
  boolean complete() {
    return state != null && state.complete();
  }

  /**
   * Whether there is something left to do.
   *
   * @throws io.github.kklip.config.SettingsException when the run has done more steps than it is to
   *     have
   */
  boolean goesOn(TrainPlan plan) {
    return state == null || state.goesOn(plan, location());
  }

  /** The checkpoint's folder, on rank 0; else empty. */
  String location() {
    return checkpoint == null ? "" : checkpoint.location();
  }

  /** Fills weights and moments of all ranks. */
  void fill(Student student, TrainPlan plan, Collective collective, Configuration configuration)
      throws IOException {
    if (checkpoint != null) {
      LOG.info("Going on after step {} from {}", step(), location());
      student.restore(checkpoint);
    } else if (collective.rank() == 0) {
      student.initialise(plan.settings(), configuration);
    }
    student.broadcast(checkpoint, state == null ? 0 : state.updates());
  }

  /**
   * The plan of the run with the files that it began with, whatever the dataset is made of by now.
   *
   * @param shards that it began with
   * @throws io.github.kklip.config.SettingsException when files of them are not there
   */
  TrainPlan plan(TrainPlan newest, List<Shard> shards, Configuration configuration)
      throws IOException {
    if (state == null) {
      return newest;
    }
    DerivedFiles derived = state.derived() == null ? newest.derived(shards) : state.derived();
    TrainPlan plan = newest.with(derived);
    if (checkpoint != null) {
      requireFiles(plan, shards, derived, configuration);
    }
    return plan;
  }

  private void requireFiles(
      TrainPlan plan, List<Shard> shards, DerivedFiles derived, Configuration configuration)
      throws IOException {
    List<String> files = new ArrayList<>(derived.all());
    shards.forEach(shard -> files.add(shard.file()));
    Set<String> there = new DatasetFolder(plan.dataset(), configuration).present(files);
    List<String> missing = files.stream().filter(file -> !there.contains(file)).toList();
    if (!missing.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot go on from the checkpoint %s because %s of %s files that the run began with are not in the dataset %s, the first is %s. Bring them back, or use another train.output.",
              location(), missing.size(), files.size(), plan.dataset(), missing.get(0)));
    }
  }

  /** The shards that the run began with, which the dataset may have replaced since. */
  List<Shard> shards(TrainPlan newest) {
    if (state == null) {
      return newest.shards();
    }
    if (checkpoint != null && !state.shards().equals(newest.shards())) {
      LOG.info(
          "The run keeps to the {} shards that it began with; the dataset has {} now",
          state.shards().size(),
          newest.shards().size());
    }
    return state.shards();
  }

  /**
   * Tells the dataset that this run uses its files, once for all its attempts. A run that may only
   * read the dataset goes on without that.
   *
   * @throws SettingsException when rows were taken down after the plan was made: who took them down
   *     looked for runs before this one was registered
   */
  void register(TrainPlan plan, Configuration configuration) throws IOException {
    DatasetFolder dataset = new DatasetFolder(plan.dataset(), configuration);
    String output = Storage.path(plan.settings().train().output(), configuration).toString();
    boolean known =
        state != null
            && RegisteredRun.list(dataset).values().stream()
                .anyMatch(run -> run.output().equals(output));
    if (known) {
      return;
    }
    try {
      new RegisteredRun(output, plan.manifest()).register(dataset);
    } catch (IOException e) {
      if (!AccessDenied.is(e)) {
        throw e;
      }
      LOG.warn(
          "The run {} is not registered in the dataset {} because this user may only read it: {}. `clean` spares what the run uses for seven days from the time at which other files replace it.",
          output,
          dataset.root(),
          e.getMessage());
    }
    long manifest = plan.manifest();
    if (state == null
        && !dataset
            .requireManifest()
            .removed()
            .equals(ManifestFiles.any(configuration, dataset.root(), manifest).removed())) {
      throw new SettingsException(
          message(
              "Cannot begin the run %s because rows of the dataset %s were taken down since the job read its manifest %s. Run the job again: it begins with the rows that are left.",
              plan.settings().train().output(), dataset.root(), manifest));
    }
  }
}
