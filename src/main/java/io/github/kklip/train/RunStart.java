package io.github.kklip.train;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.Collective;
import io.github.kklip.store.Shard;
import io.github.kklip.store.publication.Json;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.TrainPlan;
import io.github.kklip.train.step.Student;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
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
  void fill(Student student, TrainPlan plan, Collective collective) throws IOException {
    if (checkpoint != null) {
      LOG.info("Going on after step {} from {}", step(), location());
      student.restore(checkpoint);
    } else if (collective.rank() == 0) {
      student.initialise(plan.settings());
    }
    student.broadcast(checkpoint, state == null ? 0 : state.updates());
  }

  /** The shards that the run began with, which must still be those of the dataset. */
  List<Shard> shards(TrainPlan plan) {
    if (state == null) {
      return plan.shards();
    }
    Set<Shard> there = new HashSet<>(plan.shards());
    for (Shard shard : state.shards()) {
      if (!there.contains(shard)) {
        throw new IllegalStateException(
            message(
                "Cannot go on from the checkpoint because the dataset %s no longer has the shard that it was trained on: %s. Bring the dataset back, or use another train.output.",
                plan.dataset(), shard));
      }
    }
    if (state.shards().size() < plan.shards().size() && checkpoint != null) {
      LOG.info(
          "The run keeps to the {} shards that it began with; the dataset has {} now",
          state.shards().size(),
          plan.shards().size());
    }
    return state.shards();
  }
}
