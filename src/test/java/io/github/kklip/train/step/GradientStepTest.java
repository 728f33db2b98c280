package io.github.kklip.train.step;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Ranks;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.loss.Losses;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.TinyDataset;
import io.github.kklip.train.data.Batch;
import io.github.kklip.train.data.PairLoader;
import io.github.kklip.train.data.TrainImages;
import io.github.kklip.train.plan.TrainPlan;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GradientStepTest {
  private static final int STEPS = 20;
  private static final int LONG = 50;

  @TempDir Path temporary;

  @SuppressWarnings("ArrayRecordComponent")
  private record Outcome(double[] gradient, StepSums sums, double[] weights) {}

  private static Outcome first(TrainPlan plan, Collective collective) throws Exception {
    return train(plan, collective, ElementType.FLOAT32, 1).get(0);
  }

  /** Steps from the same weights; gradient and sums of each, and the weights after the last. */
  private static List<Outcome> train(
      TrainPlan plan, Collective collective, ElementType type, int steps) throws Exception {
    Torch.start(1);
    TrainSettings settings = plan.settings().train();
    try (NDManager manager = TestDevice.manager();
        Student student = new Student(manager, plan, collective, type);
        StudentTokenizer tokenizer =
            StudentTokenizer.load(plan.tokenizer(), TinyDataset.CONFIGURATION)) {
      if (collective.rank() == 0) {
        student.initialise(plan.settings(), new Configuration(false));
      }
      student.broadcast(null, 0);
      FlatTensor parameters = student.model().parameters();
      try (GradientStep step = new GradientStep(student, collective, settings);
          PairLoader loader =
              new PairLoader(
                  plan,
                  TinyDataset.CONFIGURATION,
                  plan.shards(),
                  plan.order(plan.shards()),
                  step.from(),
                  step.to(),
                  0,
                  steps,
                  tokenizer,
                  new TrainImages(plan),
                  new PairLoader.Options(1, 1, Duration.ofMinutes(1)))) {
        List<Outcome> outcomes = new ArrayList<>();
        for (int i = 0; i < steps; i++) {
          try (NDManager scope = manager.newSubManager()) {
            Batch batch = loader.next();
            StepSums sums = step.compute(scope, batch, new StepSignals(collective.rank(), 1, 0.5));
            loader.recycle(batch);
            double[] gradient = doubles(parameters.gradient());
            student.update(settings.schedule().lr(), 1);
            parameters.zeroGradients();
            outcomes.add(new Outcome(gradient, sums, doubles(parameters.data())));
          }
        }
        return outcomes;
      }
    }
  }

  private static double[] doubles(NDArray flat) {
    try (NDArray cast = Torch.cast(flat, ElementType.FLOAT64)) {
      return cast.toDoubleArray();
    }
  }

  private static double relativeDistance(double[] a, double[] b) {
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
      assertThat(plan.settings().train().step().recompute()).isTrue();
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
          assertThat(outcome.sums().signals())
              .isEqualTo(new StepSignals(ranks * (ranks - 1) / 2.0, ranks, 0.5 * ranks));
        }
        double loss = one.sums().losses().get(Losses.TOTAL);
        assertThat(outcomes.get(0).sums().losses().get(Losses.TOTAL))
            .isCloseTo(loss, Assertions.withinPercentage(1e-3));
      }
    }
  }

  /**
   * In float64 rounding leaves no room for a wrong term. All parameters count, the biases of the
   * key projections too: their true gradient is zero, and what rounding leaves of it is far below
   * Adam's eps here (in float32 it is not, and Adam makes steps of it).
   */
  @Test
  void inDoublePrecisionTheWeightsAgreeToTenDigits() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 70);
    List<Outcome> one = List.of();
    for (int ranks = 1; ranks <= 4; ranks++) {
      for (int micro : new int[] {0, 2}) {
        TrainPlan plan =
            data.plan(temporary.resolve("run"), "train.batch=11", "train.micro-batch=" + micro);
        List<List<Outcome>> all = Ranks.run(ranks, c -> train(plan, c, ElementType.FLOAT64, LONG));
        List<Outcome> outcomes = all.get(ranks - 1);
        if (one.isEmpty()) {
          one = outcomes;
        }
        for (int i = 0; i < LONG; i++) {
          assertThat(outcomes.get(i).sums().losses().get(Losses.TOTAL))
              .as("%d ranks, micro-batch %d, step %d", ranks, micro, i)
              .isCloseTo(one.get(i).sums().losses().get(Losses.TOTAL), Assertions.within(1e-9));
        }
        assertThat(relativeDistance(one.get(0).gradient, outcomes.get(0).gradient))
            .isLessThan(1e-13);
        assertThat(relativeDistance(one.get(LONG - 1).weights, outcomes.get(LONG - 1).weights))
            .as("%d ranks, micro-batch %d", ranks, micro)
            .isLessThan(1e-10);
      }
    }
  }

  /**
   * Within 1e-6 after a step; after many steps in float64, since in float32 two runs that round
   * differently drift apart, sharded or not.
   */
  @Test
  void aShardedOptimizerTakesTheSameStepsWithItsShareOfTheMoments() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 70);
    TrainPlan whole = data.plan(temporary.resolve("run"));
    TrainPlan plan = data.plan(temporary.resolve("run"), "train.shard-optimizer=true");
    for (int ranks : new int[] {2, 3}) {
      double[] first = Ranks.run(ranks, c -> first(whole, c)).get(0).weights;
      for (Outcome outcome : Ranks.run(ranks, c -> first(plan, c))) {
        assertThat(relativeDistance(first, outcome.weights)).isLessThan(1e-6);
      }
      double[] last =
          Ranks.run(ranks, c -> train(whole, c, ElementType.FLOAT64, STEPS))
              .get(0)
              .get(STEPS - 1)
              .weights;
      for (List<Outcome> outcomes :
          Ranks.run(ranks, c -> train(plan, c, ElementType.FLOAT64, STEPS))) {
        assertThat(relativeDistance(last, outcomes.get(STEPS - 1).weights)).isLessThan(1e-11);
      }
      List<Long> moments =
          Ranks.run(
              ranks,
              c -> {
                Torch.start(1);
                try (NDManager manager = TestDevice.manager();
                    Student student = new Student(manager, plan, c)) {
                  return student.optimizer().firstMoment().size();
                }
              });
      assertThat(moments.stream().mapToLong(Long::longValue).sum()).isEqualTo(last.length);
      // Each range is divided, so that a rank may have one element of each more.
      assertThat(moments.get(0) - moments.get(ranks - 1)).isBetween(0L, 20L);
    }
  }

  @Test
  void gradientsThatTravelAsHalvesStayNear() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 70);
    TrainPlan plan = data.plan(temporary.resolve("run"), "train.compress-gradients=true");
    Outcome one = Ranks.run(1, c -> first(data.plan(temporary.resolve("run")), c)).get(0);
    List<Outcome> outcomes = Ranks.run(3, c -> first(plan, c));
    // Eight bits of mantissa, rounded at three ranks.
    assertThat(relativeDistance(one.gradient, outcomes.get(0).gradient)).isBetween(1e-4, 1e-2);
    assertThat(outcomes.get(2).gradient).isEqualTo(outcomes.get(0).gradient);
    TrainPlan sharded =
        data.plan(
            temporary.resolve("run"),
            "train.compress-gradients=true",
            "train.shard-optimizer=true");
    List<Outcome> parts = Ranks.run(3, c -> first(sharded, c));
    double distance = relativeDistance(one.weights, outcomes.get(0).weights);
    for (Outcome part : parts) {
      assertThat(part.weights).isEqualTo(parts.get(0).weights);
      // The step itself is forty times as long.
      assertThat(relativeDistance(one.weights, part.weights)).isLessThan(1.5 * distance);
    }
  }

  /** What is summed first is on its way while the gradient of what comes last is still zero. */
  @Test
  void segmentsAreSummedWhileTheBackwardPassGoesOn() throws Exception {
    TinyDataset data = TinyDataset.whole(temporary.resolve("data"), -1, 70);
    TrainPlan plan = data.plan(temporary.resolve("run"));
    Ranks.run(
        2,
        real -> {
          List<ByteBuffer> summed = new ArrayList<>();
          List<Long> zeroAfter = new ArrayList<>();
          AtomicInteger losses = new AtomicInteger();
          Collective watched =
              (Collective)
                  Proxy.newProxyInstance(
                      Collective.class.getClassLoader(),
                      new Class<?>[] {Collective.class},
                      (proxy, method, arguments) -> {
                        if (method.getName().equals("allReduce")) {
                          if (arguments[1] == ElementType.FLOAT64) {
                            losses.incrementAndGet();
                          } else if (losses.get() == 1) {
                            summed.add((ByteBuffer) arguments[0]);
                          } else {
                            zeroAfter.add(
                                summed.subList(zeroAfter.size() + 1, summed.size()).stream()
                                    .filter(GradientStepTest::isZero)
                                    .count());
                          }
                        }
                        return method.invoke(real, arguments);
                      });
          train(plan, watched, ElementType.FLOAT32, 2);
          // The last but one is final when it is handed in, and the tail belongs to all segments.
          assertThat(zeroAfter).containsExactly(6L, 5L, 4L, 3L, 2L, 1L, 0L, 0L);
          return null;
        });
  }

  private static boolean isZero(ByteBuffer floats) {
    FloatBuffer values = floats.duplicate().order(ByteOrder.nativeOrder()).asFloatBuffer();
    while (values.hasRemaining()) {
      if (values.get() != 0) {
        return false;
      }
    }
    return true;
  }
}
