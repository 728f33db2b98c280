package io.github.kklip.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.config.Settings;
import io.github.kklip.store.Json;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;

/**
 * What checkpoints cost: the pause of the step for one, beside a plain copy of the same buffers,
 * and the wait for the first batch when a run goes on in the middle of an epoch, beside a pass over
 * the data.
 *
 * <pre>CheckpointBench DATASET FOLDER THREADS ROUNDS STUDENT...</pre>
 *
 * <p>DATASET is one that `ingest` and `tokenizer` have made; checkpoints go into FOLDER. Copy and
 * pause take turns; medians count. The pause is what {@link Trainer} waits: the copy of weights and
 * moments, and the start of the thread that writes them. The thread has ended before the next
 * round.
 */
public final class CheckpointBench {
  private static final Configuration CONFIGURATION = new Configuration();
  private static final Duration LIMIT = Duration.ofMinutes(10);

  private CheckpointBench() {}

  public static void main(String[] args) throws Exception {
    int threads = Integer.parseInt(args[2]);
    Torch.start(threads);
    int rounds = Integer.parseInt(args[3]);
    for (String student : Arrays.asList(args).subList(4, args.length)) {
      TrainPlan plan =
          TrainPlan.of(
              Settings.load(
                  List.of(),
                  List.of(
                      "dataset=" + args[0],
                      "train.output=" + Path.of(args[1]).resolve(student),
                      "student.config=" + student,
                      "train.loss.emb=0",
                      "train.loss.concept=0")),
              CONFIGURATION);
      System.out.println(Json.line(pause(plan, rounds)));
      System.out.println(Json.line(resume(plan)));
    }
  }

  private static Map<String, Object> pause(TrainPlan plan, int rounds) throws IOException {
    List<Double> copies = new ArrayList<>();
    List<Double> pauses = new ArrayList<>();
    List<Double> writes = new ArrayList<>();
    Future<Void> done = CompletableFuture.completedFuture(null);
    long parameters;
    try (NDManager manager = Torch.manager();
        Student student = new Student(manager, plan, new SoloCollective());
        CheckpointWriter writer =
            new CheckpointWriter(
                new SoloCollective(),
                new CheckpointStore(plan.settings().train().output(), CONFIGURATION),
                student.model(),
                Map.of(),
                1,
                LIMIT)) {
      student.initialise(plan.settings());
      NDArray data = student.model().parameters().data();
      parameters = data.getShape().size();
      List<NDArray> sources =
          List.of(data, student.optimizer().firstMoment(), student.optimizer().secondMoment());
      List<NDArray> targets = sources.stream().map(x -> Torch.clone(manager, x)).toList();
      for (int round = -1; round < rounds; round++) {
        long start = System.nanoTime();
        for (int i = 0; i < sources.size(); i++) {
          Torch.copy(targets.get(i), sources.get(i));
        }
        long copied = System.nanoTime();
        writer.start(state(plan, round + 2L), student.snapshot(), done);
        long paused = System.nanoTime();
        writer.await();
        if (round >= 0) {
          copies.add((copied - start) / 1e6);
          pauses.add((paused - copied) / 1e6);
          writes.add((System.nanoTime() - paused) / 1e6);
        }
      }
    }
    List<Double> ratios = new ArrayList<>();
    for (int i = 0; i < rounds; i++) {
      ratios.add(pauses.get(i) / copies.get(i));
    }
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("student", plan.settings().student().config());
    line.put("state_mib", parameters * 12 >> 20);
    line.put("copy_ms", median(copies));
    line.put("pause_ms", median(pauses));
    line.put("pause_over_copy", median(ratios));
    line.put("written_in_background_ms", median(writes));
    return line;
  }

  private static TrainState state(TrainPlan plan, long step) {
    return new TrainState(
        TrainState.FORMAT,
        step,
        step,
        0,
        0,
        false,
        null,
        plan.identity(),
        new TreeMap<>(),
        plan.shards());
  }

  /** Seconds until the first batch of one rank, from several places of an epoch. */
  private static Map<String, Object> resume(TrainPlan plan) throws IOException {
    SampleOrder order = plan.order(plan.shards());
    long steps = order.stepsPerEpoch();
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("student", plan.settings().student().config());
    line.put("steps_per_epoch", steps);
    // The first opens what all need.
    first(plan, order, 0, 1);
    line.put("first_batch_at_start_s", first(plan, order, 0, 1));
    line.put("first_batch_at_half_s", first(plan, order, steps / 2, 1));
    line.put("first_batch_at_end_s", first(plan, order, steps - 1, 1));
    line.put("first_batch_of_epoch_100_s", first(plan, order, 99 * steps + steps / 2, 1));
    line.put("whole_epoch_s", first(plan, order, 0, steps));
    return line;
  }

  private static double first(TrainPlan plan, SampleOrder order, long step, long batches)
      throws IOException {
    try (StudentTokenizer tokenizer = StudentTokenizer.load(plan.tokenizer(), CONFIGURATION)) {
      long start = System.nanoTime();
      try (PairLoader loader =
          new PairLoader(
              plan,
              CONFIGURATION,
              plan.shards(),
              order,
              0,
              order.batch(),
              step,
              step + batches,
              tokenizer,
              new TrainImages(plan),
              new PairLoader.Options(1, plan.settings().train().prefetch(), LIMIT))) {
        for (long i = 0; i < batches; i++) {
          loader.recycle(loader.next());
        }
        return (System.nanoTime() - start) / 1e9;
      }
    }
  }

  private static double median(List<Double> values) {
    return values.stream().sorted().toList().get(values.size() / 2);
  }
}
