package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Ranks;
import io.github.kklip.loss.Losses;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GradientStepTest {
  @TempDir Path temporary;

  @SuppressWarnings("ArrayRecordComponent")
  private record Outcome(float[] gradient, GradientStep.Sums sums) {}

  private static Outcome first(TrainPlan plan, Collective collective) throws Exception {
    Torch.start(1);
    try (NDManager manager = Torch.manager();
        Student student = new Student(manager, plan);
        StudentTokenizer tokenizer =
            StudentTokenizer.load(plan.tokenizer(), TinyDataset.CONFIGURATION)) {
      if (collective.rank() == 0) {
        student.initialise(plan.settings());
      }
      student.share(collective, 0);
      try (GradientStep step = new GradientStep(student, collective, plan.settings().train());
          PairLoader loader =
              new PairLoader(
                  plan,
                  TinyDataset.CONFIGURATION,
                  plan.shards(),
                  plan.order(plan.shards()),
                  step.from(),
                  step.to(),
                  0,
                  1,
                  tokenizer,
                  new TrainImages(plan),
                  new PairLoader.Options(1, 1, Duration.ofMinutes(1)));
          NDManager scope = manager.newSubManager()) {
        GradientStep.Sums sums = step.compute(scope, loader.next(), collective.rank(), 1);
        return new Outcome(Torch.floats(student.model().parameters().gradient()), sums);
      }
    }
  }

  private static double relativeDistance(float[] a, float[] b) {
    double difference = 0;
    double norm = 0;
    for (int i = 0; i < a.length; i++) {
      difference += Math.pow(a[i] - b[i], 2);
      norm += Math.pow(a[i], 2);
    }
    return Math.sqrt(difference / norm);
  }

  @Test
  void recomputingChangesNoBit() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 70);
    for (int micro : new int[] {0, 2}) {
      String batch = "train.micro-batch=" + micro;
      TrainPlan kept = data.plan(temporary.resolve("run"), batch);
      TrainPlan plan = data.plan(temporary.resolve("run"), batch, "train.recompute=true");
      assertThat(plan.settings().train().recompute()).isTrue();
      assertThat(Ranks.run(1, c -> first(plan, c)).get(0).gradient())
          .as("micro-batch %d", micro)
          .isEqualTo(Ranks.run(1, c -> first(kept, c)).get(0).gradient());
    }
  }

  @Test
  void ranksAndMicroBatchesGiveTheGradientOfOneRank() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 70);
    Outcome one = Ranks.run(1, c -> first(data.plan(temporary.resolve("run")), c)).get(0);
    assertThat(one.sums().losses().keySet())
        .containsExactly(Losses.CONCEPT, Losses.CONTRASTIVE, Losses.EMB, Losses.TOTAL);
    for (int ranks = 1; ranks <= 4; ranks++) {
      for (int micro : new int[] {0, 1, 2, 3}) {
        TrainPlan plan = data.plan(temporary.resolve("run"), "train.micro-batch=" + micro);
        List<Outcome> outcomes = Ranks.run(ranks, c -> first(plan, c));
        for (Outcome outcome : outcomes) {
          assertThat(relativeDistance(one.gradient, outcome.gradient))
              .as("%d ranks, micro-batch %d", ranks, micro)
              .isLessThan(1e-5);
          // Every rank decides on the same bits.
          assertThat(outcome.gradient).isEqualTo(outcomes.get(0).gradient);
          assertThat(outcome.sums().losses()).isEqualTo(outcomes.get(0).sums().losses());
          assertThat(outcome.sums().extra()).containsExactly(ranks * (ranks - 1) / 2.0, ranks);
        }
        double loss = one.sums().losses().get(Losses.TOTAL);
        assertThat(outcomes.get(0).sums().losses().get(Losses.TOTAL))
            .isCloseTo(loss, Assertions.withinPercentage(1e-3));
      }
    }
  }
}
