package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import io.github.kklip.config.Role;
import io.github.kklip.config.Roles;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.Shard;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.DerivedFiles;
import io.github.kklip.train.plan.TrainPlan;
import java.io.Serializable;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
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
 * @param derived the files that belong to them; null in format 2
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
    List<Shard> shards,
    DerivedFiles derived)
    implements Serializable {
  /** The layout that this program writes. */
  public static final int FORMAT = 3;

  /** It does not name the derived files: those of the dataset's newest manifest are read. */
  private static final int WITHOUT_DERIVED_FILES = 2;

  public TrainState {
    if (step < 0 || updates < 0 || skippedInRow < 0 || skipped < 0) {
      throw new IllegalArgumentException(
          message(
              "step %s, updates %s, skippedInRow %s and skipped %s must not be negative",
              step, updates, skippedInRow, skipped));
    }
    Objects.requireNonNull(last, "last");
    identity = Collections.unmodifiableSortedMap(new TreeMap<>(identity));
    circumstances = Collections.unmodifiableSortedMap(new TreeMap<>(circumstances));
    identity.values().forEach(Objects::requireNonNull);
    circumstances.values().forEach(Objects::requireNonNull);
    shards = List.copyOf(shards);
  }

  /** Formats before 3 have no derived files. */
  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  static TrainState read(Fields read) {
    TrainState older = read.older;
    if (older.format == FORMAT && read.derived == null) {
      throw new IllegalArgumentException("derived is missing");
    }
    return new TrainState(
        older.format,
        older.step,
        older.updates,
        older.skippedInRow,
        older.skipped,
        older.complete,
        older.last,
        older.identity,
        older.circumstances,
        older.shards,
        read.derived);
  }

  /** As in JSON, where the derived files may be missing. */
  static final class Fields {
    private final TrainState older;
    @JsonProperty private DerivedFiles derived;

    @JsonCreator
    Fields(
        @JsonProperty("format") int format,
        @JsonProperty("step") long step,
        @JsonProperty("updates") long updates,
        @JsonProperty("skippedInRow") int skippedInRow,
        @JsonProperty("skipped") long skipped,
        @JsonProperty("complete") boolean complete,
        @JsonProperty("last") StepReport last,
        @JsonProperty("identity") SortedMap<String, String> identity,
        @JsonProperty("circumstances") SortedMap<String, String> circumstances,
        @JsonProperty("shards") List<Shard> shards) {
      older =
          new TrainState(
              format,
              step,
              updates,
              skippedInRow,
              skipped,
              complete,
              last,
              identity,
              circumstances,
              shards,
              null);
    }
  }

  /**
   * Refuses to go on with other settings than the checkpoint's. Those that may be extended count
   * while the run is unfinished.
   *
   * @param now the identity of the run that wants to go on
   * @throws SettingsException naming every setting that differs
   */
  public void checkIdentity(Map<String, String> now, String location) {
    if (format != FORMAT && format != WITHOUT_DERIVED_FILES) {
      throw new SettingsException(
          message(
              "Cannot go on from the checkpoint %s because it has format %s and this version goes on from the formats %s and %s, which name their inputs by content. It can still be evaluated and exported. Use another train.output.",
              location, format, WITHOUT_DERIVED_FILES, FORMAT));
    }
    Set<String> extendable = Roles.extendable(Role.Output.RUN);
    SortedMap<String, String> before = new TreeMap<>(identity);
    SortedMap<String, String> after = new TreeMap<>(now);
    if (complete) {
      before.keySet().removeAll(extendable);
      after.keySet().removeAll(extendable);
    }
    List<String> differences = Roles.differences(before, after);
    if (!differences.isEmpty()) {
      boolean extended =
          differences.stream().anyMatch(d -> extendable.contains(d.split(" ", 2)[0]));
      throw new SettingsException(
          message(
              "Cannot go on from the checkpoint %s because it was made with other settings: %s. Use the same settings, or another train.output.%s",
              location,
              String.join("; ", differences),
              extended
                  ? message(
                      " A run can be extended by %s when it has ended: let it end as it began first.",
                      String.join(" or ", extendable))
                  : ""));
    }
  }

  /**
   * Whether there is something left to do: the run is unfinished, or it has ended and is extended.
   *
   * @param plan by the settings of now
   * @throws SettingsException when the run has done more steps than it is to have
   */
  public boolean goesOn(TrainPlan plan, String location) {
    long steps = plan.steps(plan.order(shards));
    if (complete && steps < step) {
      throw new SettingsException(
          message(
              "Cannot end the run at step %s by train.steps or train.epochs because its checkpoint %s has done %s steps. Set as many or more, or use another train.output.",
              steps, location, step));
    }
    return !complete || steps > step;
  }
}
