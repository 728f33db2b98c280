package io.github.kklip.train.data;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Label;
import io.github.kklip.store.Shard;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import java.time.Duration;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.hadoop.conf.Configuration;

/**
 * Loads one rank's part of every batch ahead of the step: reads pairs block by block, zipped with
 * the teacher's embeddings and the labels of the same rows ({@link BlockReader}), decodes and
 * augments images, tokenises captions ({@link BatchStream}).
 *
 * <p>The rank's positions of a batch belong to a range of the order's virtual streams. The work on
 * one stream goes from step to step in order; streams are worked on by {@code threads} threads at
 * once. What a row becomes depends on the row, seed and epoch alone, so that the batches are the
 * same with any number of threads. Decoded batches ahead of the step take at most {@code prefetch}
 * bytes (but there is always one); beside them each stream holds the encoded images of its block
 * that are still to come.
 */
public final class PairLoader implements AutoCloseable {
  /**
   * How to load.
   *
   * @param threads that read and decode
   * @param prefetch bytes of decoded batches
   * @param timeout the longest wait for one batch
   */
  public record Options(int threads, long prefetch, Duration timeout) {}

  private record Loading(Batch batch, CompletableFuture<Void> done) {}

  private final SampleOrder order;
  private final int rows;
  private final long steps;
  private final boolean teacher;
  private final boolean labels;
  private final Options options;
  private final int ahead;
  private final List<BatchStream> streams = new ArrayList<>();
  private final Map<Integer, SampleOrder.Epoch> epochs = new HashMap<>();
  private final Queue<Loading> queue = new ArrayDeque<>();
  private final PixelBuffers buffers;
  private final ExecutorService pool;
  private long next;
  private long waited;

  /**
   * Starts to load.
   *
   * @param shards the shards of the order
   * @param from first position of this rank in every batch
   * @param to the position after its last
   * @param step first batch to load
   * @param steps batches of the run
   */
  public PairLoader(
      TrainPlan plan,
      Configuration configuration,
      List<Shard> shards,
      SampleOrder order,
      int from,
      int to,
      long step,
      long steps,
      StudentTokenizer tokenizer,
      PixelReader pixels,
      Options options) {
    this.order = order;
    this.steps = steps;
    this.options = options;
    teacher = plan.teacher() != null;
    labels = plan.concepts() != null;
    rows = to - from;
    next = step;
    BlockReader reader = new BlockReader(plan, configuration, shards);
    BatchStream.RowMaker maker =
        new BatchStream.RowMaker(
            pixels, tokenizer, plan.shape().text().context(), plan.settings().seed());
    for (int v = 0; v < order.streams(); v++) {
      int low = Math.max(from, order.firstPosition(v));
      int high = Math.min(to, order.firstPosition(v + 1));
      if (low < high) {
        streams.add(new BatchStream(v, low, high, low - from, reader, maker));
      }
    }
    buffers = new PixelBuffers(rows, pixels.values());
    ahead = (int) Math.max(1, Math.min(1000, options.prefetch / buffers.bytes()));
    AtomicInteger number = new AtomicInteger();
    pool =
        Executors.newFixedThreadPool(
            options.threads,
            task -> {
              Thread thread = new Thread(task, "kklip-loader-" + number.getAndIncrement());
              thread.setDaemon(true);
              return thread;
            });
    fill();
  }

  /**
   * The next batch of this rank.
   *
   * @throws IllegalStateException when it could not be loaded; the message says why
   */
  public Batch next() {
    long start = System.nanoTime();
    Loading head = queue.remove();
    try {
      head.done.get(options.timeout.toMillis(), TimeUnit.MILLISECONDS);
    } catch (ExecutionException e) {
      throw failure(head.batch.step(), e.getCause().getMessage(), e.getCause());
    } catch (TimeoutException e) {
      throw failure(head.batch.step(), message("it was not there after %s", options.timeout), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failure(head.batch.step(), "the thread was interrupted", e);
    }
    fill();
    waited += System.nanoTime() - start;
    return head.batch;
  }

  private static IllegalStateException failure(long step, String why, Throwable cause) {
    return new IllegalStateException(
        message("Cannot load the batch of step %s because of this: %s", step, why), cause);
  }

  /** Nanoseconds that {@link #next} took so far. */
  public long waited() {
    return waited;
  }

  /** Batches that are loaded, or being loaded, ahead of the step at the most. */
  int ahead() {
    return ahead;
  }

  /** Gives a batch's pixel memory back. */
  public void recycle(Batch batch) {
    buffers.give(batch.pixels());
  }

  private void fill() {
    while (next < steps && queue.size() < ahead) {
      long step = next++;
      int epoch = (int) (step / order.stepsPerEpoch());
      SampleOrder.Epoch pass = epochs.computeIfAbsent(epoch, order::epoch);
      epochs.keySet().removeIf(e -> e < epoch);
      Batch batch =
          new Batch(
              step,
              buffers.take(),
              new int[rows][],
              new long[rows],
              teacher ? new float[rows][] : null,
              labels ? new Label[rows] : null);
      CompletableFuture<?>[] parts =
          streams.stream()
              .map(s -> s.load(batch, pass, epoch, step % order.stepsPerEpoch(), pool))
              .toArray(CompletableFuture<?>[]::new);
      queue.add(new Loading(batch, CompletableFuture.allOf(parts)));
    }
  }

  @Override
  public void close() {
    pool.shutdownNow();
    try {
      // A thread may be inside a native decoder, which sees no interrupt.
      if (!pool.awaitTermination(options.timeout.toMillis(), TimeUnit.MILLISECONDS)) {
        throw new IllegalStateException(
            message(
                "Cannot end the loader because a thread still reads after %s.", options.timeout));
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
