package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.Shard;
import io.github.kklip.train.metrics.StepReport;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Where a run stands and what it is a run of.
 *
 * @param format version of the checkpoint's layout
 * @param step batches consumed, the skipped ones included: the next step's number
 * @param updates steps that changed the weights: AdamW's count
 * @param skippedInRow steps skipped since the last update
 * @param skipped steps skipped in all
 * @param complete whether the run has done all its steps
 * @param last what the last step told
 * @param identity the settings and inputs that make the weights what they are, by key; a run goes
 *     on only from a checkpoint with the same
 * @param circumstances what a bitwise equal continuation also needs: ranks, threads, transport
 * @param shards the training shards that the order of samples is made of
 */
public record TrainState(
    int format,
    long step,
    long updates,
    int skippedInRow,
    long skipped,
    boolean complete,
    StepReport last,
    SortedMap<String, String> identity,
    SortedMap<String, String> circumstances,
    List<Shard> shards)
    implements Serializable {
  /** The layout that this program writes. */
  public static final int FORMAT = 1;

  public TrainState {
    identity = Collections.unmodifiableSortedMap(new TreeMap<>(identity));
    circumstances = Collections.unmodifiableSortedMap(new TreeMap<>(circumstances));
    shards = List.copyOf(shards);
  }

  /**
   * Refuses to go on with other settings than the checkpoint's.
   *
   * @param now the identity of the run that wants to go on
   * @throws SettingsException naming every setting that differs
   */
  public void checkIdentity(Map<String, String> now, String location) {
    SortedMap<String, String> keys = new TreeMap<>(identity);
    keys.putAll(now);
    List<String> differences = new ArrayList<>();
    for (String key : keys.keySet()) {
      String before = identity.getOrDefault(key, "not set");
      String after = now.getOrDefault(key, "not set");
      if (!before.equals(after)) {
        differences.add(key + " was " + before + " and is " + after);
      }
    }
    if (!differences.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot go on from the checkpoint %s because it was made with other settings: %s. Use the same settings, or another train.output.",
              location, String.join("; ", differences)));
    }
  }
}
