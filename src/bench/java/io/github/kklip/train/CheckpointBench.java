package io.github.kklip.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Communicator;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.comms.TransportOptions;
import io.github.kklip.comms.tcp.Handshake;
import io.github.kklip.comms.tcp.Peer;
import io.github.kklip.comms.tcp.RingListener;
import io.github.kklip.comms.transport.Timeouts;
import io.github.kklip.config.Settings;
import io.github.kklip.store.publication.Json;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.checkpoint.CheckpointStore;
import io.github.kklip.train.checkpoint.CheckpointWriter;
import io.github.kklip.train.checkpoint.TrainState;
import io.github.kklip.train.data.PairLoader;
import io.github.kklip.train.data.TrainImages;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import io.github.kklip.train.step.Student;
import java.io.IOException;
import java.net.InetAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import org.apache.hadoop.conf.Configuration;

/**
 * What checkpoints cost: the pause of the step for one, beside a plain copy of the same buffers,
 * also where two ranks of one machine have half of the moments each, of which the first collects a
 * stretch a step; and the wait for the first batch when a run goes on in the middle of an epoch,
 * beside a pass over the data.
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
      TrainPlan plan = plan(args[0], args[1], student, false);
      System.out.println(Json.line(pause(plan, new SoloCollective(), rounds)));
      System.out.println(Json.line(sharded(plan(args[0], args[1], student, true), rounds)));
      System.out.println(Json.line(resume(plan)));
    }
  }

  private static TrainPlan plan(String dataset, String folder, String student, boolean sharded)
      throws IOException {
    return TrainPlan.of(
        Settings.load(
            List.of(),
            List.of(
                "dataset=" + dataset,
                "train.output=" + Path.of(folder).resolve(student),
                "student.config=" + student,
                "train.shard-optimizer=" + sharded,
                "train.loss.emb=0",
                "train.loss.concept=0")),
        CONFIGURATION);
  }

  /** Two ranks as threads, in shared memory. */
  private static Map<String, Object> sharded(TrainPlan plan, int rounds) throws Exception {
    byte[] secret = new byte[Handshake.SECRET_BYTES];
    Timeouts timeouts = new Timeouts(LIMIT, LIMIT, LIMIT);
    RingListener[] listeners = new RingListener[2];
    List<Peer> peers = new ArrayList<>();
    for (int rank = 0; rank < 2; rank++) {
      listeners[rank] = RingListener.open(InetAddress.getLoopbackAddress(), 0);
      peers.add(new Peer("127.0.0.1", listeners[rank].port()));
    }
    ExecutorService pool = Executors.newFixedThreadPool(2);
    try {
      List<Future<Map<String, Object>>> lines = new ArrayList<>();
      for (int r = 0; r < 2; r++) {
        int rank = r;
        lines.add(
            pool.submit(
                () -> {
                  try (Collective collective =
                      Communicator.connect(
                          listeners[rank], rank, peers, secret, timeouts, TransportOptions.AUTO)) {
                    return pause(plan, collective, rounds);
                  }
                }));
      }
      lines.get(1).get();
      return lines.get(0).get();
    } finally {
      pool.shutdown();
    }
  }

  private static Map<String, Object> pause(TrainPlan plan, Collective collective, int rounds)
      throws IOException {
    List<Double> copies = new ArrayList<>();
    List<Double> pauses = new ArrayList<>();
    List<Double> collections = new ArrayList<>();
    List<Double> writes = new ArrayList<>();
    Future<Void> done = CompletableFuture.completedFuture(null);
    long parameters;
    try (NDManager manager = Torch.manager();
        Student student = new Student(manager, plan, collective);
        CheckpointWriter writer =
            new CheckpointWriter(
                collective,
                new CheckpointStore(plan.settings().train().output(), CONFIGURATION),
                student.model(),
                Map.of(),
                Map.of(),
                1,
                LIMIT)) {
      student.initialise(plan.settings(), CONFIGURATION);
      // All moments as one rank has them, for the copy.
      NDArray data = student.model().parameters().data();
      parameters = data.getShape().size();
      List<NDArray> sources = List.of(data, Torch.clone(manager, data), Torch.clone(manager, data));
      List<NDArray> targets = sources.stream().map(x -> Torch.clone(manager, x)).toList();
      for (int round = -1; round < rounds; round++) {
        long start = System.nanoTime();
        for (int i = 0; collective.rank() == 0 && i < sources.size(); i++) {
          Torch.copy(targets.get(i), sources.get(i));
        }
        long copy = System.nanoTime() - start;
        collective.barrier().await();
        long copied = System.nanoTime();
        student.startSnapshot();
        TrainState state = state(plan, round + 2L);
        boolean more = student.collectSnapshot(snapshot -> writer.start(state, snapshot, done));
        long paused = System.nanoTime();
        double longest = 0;
        while (more) {
          long before = System.nanoTime();
          more = student.collectSnapshot(snapshot -> writer.start(state, snapshot, done));
          longest = Math.max(longest, (System.nanoTime() - before) / 1e6);
        }
        writer.await();
        collective.barrier().await();
        if (round >= 0) {
          copies.add(copy / 1e6);
          pauses.add((paused - copied) / 1e6);
          collections.add(longest);
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
    line.put("ranks_with_a_part_of_the_moments", collective.size());
    line.put("state_mib", parameters * 12 >> 20);
    line.put("copy_ms", median(copies));
    line.put("pause_ms", median(pauses));
    line.put("pause_over_copy", median(ratios));
    line.put("longest_collection_ms", median(collections));
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
        plan.shards(),
        plan.derived(plan.shards()));
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
              new PairLoader.Options(1, plan.settings().train().loader().prefetch(), LIMIT))) {
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
