package io.github.kklip.config;

import static io.github.kklip.config.Role.Kind.EXTENDABLE;
import static io.github.kklip.config.Role.Kind.NONE;
import static io.github.kklip.config.Role.Kind.ROUNDING;
import static io.github.kklip.config.Role.Output.RUN;
import static io.github.kklip.config.Role.When.CONCEPT_HAS_WEIGHT;

import java.io.Serializable;
import java.time.Duration;

/** One run of training. */
public record TrainSettings(
    @Key(text = Key.TextForm.PATH) @Role(value = RUN, kind = NONE) String output,
    @Key(min = 1, max = 100_000) @Role(value = RUN, kind = ROUNDING, content = "in use") int ranks,
    @Key(flat = true) ScheduleSettings schedule,
    @Key(flat = true) StepSettings step,
    @Key(flat = true) AdamWSettings adamw,
    LossSettings loss,
    CheckpointSettings checkpoint,
    @Key(flat = true) LoaderSettings loader,
    @Key(flat = true) RanksSettings comms)
    implements Section.Checked, Serializable {
  @Override
  public void check(Section section) {
    section.require(schedule.batch() >= ranks, "batch", "at least train.ranks = " + ranks);
  }

  /** How much is trained, and how fast. */
  public record ScheduleSettings(
      @Key(min = 1) @Role(RUN) int batch,
      @Key(min = 1) @Role(value = RUN, kind = EXTENDABLE) int epochs,
      @Role(value = RUN, kind = EXTENDABLE) int steps,
      @Key(max = 10) @Role(RUN) double lr,
      @Role(RUN) int warmupSteps)
      implements Serializable {}

  /** How a step is computed. */
  public record StepSettings(
      @Role(value = RUN, kind = ROUNDING) int microBatch,
      @Role(value = RUN, kind = ROUNDING) boolean recompute,
      @Key(choices = {"float32", "bfloat16"}) @Role(RUN) Dtype precision,
      @Role(RUN) double clipNorm,
      @Role(value = RUN, when = CONCEPT_HAS_WEIGHT) boolean sharedClassifier,
      @Role(value = RUN, kind = ROUNDING) boolean compressGradients,
      @Role(value = RUN, kind = ROUNDING) boolean shardOptimizer,
      @Key(min = 1) @Role(value = RUN, kind = NONE) int maxSkippedSteps,
      @Key(min = 1) @Role(value = RUN, kind = NONE) int logEverySteps)
      implements Serializable {}

  /** AdamW's decay rates of the moments, eps, and the decoupled weight decay. */
  public record AdamWSettings(
      @Key(max = 0.999999) @Role(RUN) double beta1,
      @Key(max = 0.9999999) @Role(RUN) double beta2,
      @Key(min = 1e-20, max = 1) @Role(RUN) double eps,
      @Key(max = 100) @Role(RUN) double weightDecay)
      implements Serializable {}

  /** Weights of the three losses: alpha, beta and gamma of the paper. */
  public record LossSettings(
      @Role(RUN) double emb, @Role(RUN) double concept, @Role(RUN) double contrastive)
      implements Section.Checked, Serializable {
    @Override
    public void check(Section section) {
      section.require(
          emb + concept + contrastive > 0, "contrastive", "over 0, as must one of the three");
    }

    /** One term as it is weighted, the others with weight 0. */
    public LossSettings alone(String term) {
      return new LossSettings(
          term.equals("emb") ? emb : 0,
          term.equals("concept") ? concept : 0,
          term.equals("contrastive") ? contrastive : 0);
    }
  }

  /** When checkpoints are written, and how many are kept. */
  public record CheckpointSettings(
      @Role(value = RUN, kind = NONE) int everySteps,
      @Key(min = 1, max = 1000) @Role(value = RUN, kind = NONE) int keep)
      implements Serializable {}

  /** How pairs come to the step. */
  public record LoaderSettings(
      @Key(min = 0.01, max = 1) @Role(RUN) double augmentMinScale,
      @Key(min = 1, max = 256) @Role(value = RUN, kind = NONE) int loaderThreads,
      @Key(bytes = true, min = 1 << 20) @Role(value = RUN, kind = NONE) long prefetch)
      implements Serializable {}

  /** How ranks find each other, talk, and are given up. */
  public record RanksSettings(
      @Key(max = 1000) @Role(value = RUN, kind = NONE) int restarts,
      @Role(value = RUN, kind = NONE) Duration rendezvousTimeout,
      @Role(value = RUN, kind = NONE) Duration stepTimeout,
      @Role(value = RUN, kind = NONE) Duration heartbeatTimeout,
      @Key(max = 65_535) @Role(value = RUN, kind = NONE) int port,
      @Role(value = RUN, kind = ROUNDING, content = "in use") TransportChoice transport,
      @Role(value = RUN, kind = NONE) String sharedFolder,
      @Role(value = RUN, kind = NONE) EncryptionChoice encryption)
      implements Serializable {}

  /** The ways between ranks. */
  public enum TransportChoice {
    /** NCCL between GPUs, shared memory within a machine, TCP between machines. */
    AUTO,
    /** Always TCP. */
    TCP,
    /** Shared memory between all ranks, or a failure. */
    SHARED_MEMORY,
    /** NCCL between GPUs, or a failure. */
    NCCL
  }

  /** Whether connections between ranks are encrypted. */
  public enum EncryptionChoice {
    /** When Spark's own are. */
    AUTO,
    ON,
    OFF
  }
}
