package io.github.kklip.train.data;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Seeds;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Label;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Vector;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.VectorFormat;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.plan.SampleOrder;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
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
 * the teacher's embeddings and the labels of the same rows, decodes and augments images, tokenises
 * captions.
 *
 * <p>The rank's positions of a batch belong to a range of the order's virtual streams. The work on
 * one stream goes from step to step in order; streams are worked on by {@code threads} threads at
 * once. What a row becomes depends on the row, seed and epoch alone, so that the batches are the
 * same with any number of threads. Decoded batches ahead of the step take at most {@code prefetch}
 * bytes (but there is always one); beside them each stream holds the encoded images of its block
 * that are still to come.
 */
public final class PairLoader implements AutoCloseable {
  /** Encoded bytes that one row group may have: four times what this program writes. */
  private static final long LARGEST_GROUP = 64L << 20;

  private static final int ALIGNMENT = 64;

  /** Makes the pixels of one training image. */
  interface ImageReader {
    /** Values of one image: 3 S². */
    int values();

    /**
     * Decodes, augments and normalises.
     *
     * @param seed decides the augmentation
     * @param target gets {@link #values} floats
     */
    void read(byte[] encoded, long seed, FloatBuffer target) throws IOException;
  }

  /**
   * How to load.
   *
   * @param threads that read and decode
   * @param prefetch bytes of decoded batches
   * @param timeout the longest wait for one batch
   */
  public record Options(int threads, long prefetch, Duration timeout) {}

  private record Row(Pair pair, float[] teacher, Label label) {}

  private record Loading(Batch batch, CompletableFuture<Void> done) {}

  private final TrainPlan plan;
  private final DatasetFolder folder;
  private final List<Shard> shards;
  private final SampleOrder order;
  private final int rows;
  private final long steps;
  private final StudentTokenizer tokenizer;
  private final int context;
  private final ImageReader images;
  private final Options options;
  private final int ahead;
  private final List<Stream> streams = new ArrayList<>();
  private final Map<Integer, SampleOrder.Epoch> epochs = new HashMap<>();
  private final Queue<Loading> queue = new ArrayDeque<>();
  private final Queue<ByteBuffer> buffers = new ArrayDeque<>();
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
      ImageReader images,
      Options options) {
    this.plan = plan;
    this.shards = shards;
    this.order = order;
    this.steps = steps;
    this.tokenizer = tokenizer;
    this.images = images;
    this.options = options;
    folder = new DatasetFolder(plan.dataset(), configuration);
    rows = to - from;
    context = plan.shape().text().context();
    next = step;
    for (int v = 0; v < order.streams(); v++) {
      int low = Math.max(from, order.firstPosition(v));
      int high = Math.min(to, order.firstPosition(v + 1));
      if (low < high) {
        streams.add(new Stream(v, low, high, low - from));
      }
    }
    long batchBytes = (long) rows * images.values() * Float.BYTES;
    ahead = (int) Math.max(1, Math.min(1000, options.prefetch / batchBytes));
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
    buffers.add(batch.pixels());
  }

  private void fill() {
    while (next < steps && queue.size() < ahead) {
      long step = next++;
      int epoch = (int) (step / order.stepsPerEpoch());
      SampleOrder.Epoch pass = epochs.computeIfAbsent(epoch, order::epoch);
      epochs.keySet().removeIf(e -> e < epoch);
      ByteBuffer pixels = buffers.poll();
      if (pixels == null) {
        long bytes = (long) rows * images.values() * Float.BYTES;
        if (bytes > Integer.MAX_VALUE - ALIGNMENT) {
          throw new IllegalArgumentException(
              message(
                  "Cannot hold the decoded images of %s rows in one buffer of 2 GiB: they take %s bytes. Use more ranks, or a smaller train.batch.",
                  rows, bytes));
        }
        // Aligned, so that libtorch's choice of kernels, and with it the last bits of the results,
        // does not depend on where the buffer happens to lie.
        pixels =
            ByteBuffer.allocateDirect((int) bytes + ALIGNMENT)
                .alignedSlice(ALIGNMENT)
                .limit((int) bytes)
                .slice()
                .order(ByteOrder.nativeOrder());
      }
      Batch batch =
          new Batch(
              step,
              pixels,
              new int[rows][],
              new long[rows],
              plan.teacher() == null ? null : new float[rows][],
              plan.concepts() == null ? null : new Label[rows]);
      CompletableFuture<?>[] parts =
          streams.stream()
              .map(s -> s.load(batch, pass, epoch))
              .toArray(CompletableFuture<?>[]::new);
      queue.add(new Loading(batch, CompletableFuture.allOf(parts)));
    }
  }

  /** This rank's part of one virtual stream. */
  private final class Stream {
    private final int number;
    private final int from;
    private final int to;
    private final int offset;
    private CompletableFuture<Void> last = CompletableFuture.completedFuture(null);

    // Touched by one task at a time, each of which happens after the one before.
    private int epoch = -1;
    private SampleOrder.Epoch.Walk walk;
    private SampleOrder.Block block;
    private Row[] blockRows;

    /** {@code offset}: row of the local batch that position {@code from} is. */
    Stream(int number, int from, int to, int offset) {
      this.number = number;
      this.from = from;
      this.to = to;
      this.offset = offset;
    }

    CompletableFuture<Void> load(Batch batch, SampleOrder.Epoch pass, int passNumber) {
      last =
          last.thenRunAsync(
              () -> {
                if (passNumber != epoch) {
                  epoch = passNumber;
                  walk = pass.walk(number, from, to);
                  block = null;
                }
                int row = offset;
                for (SampleOrder.BlockRow place : walk.rows(batch.step() % order.stepsPerEpoch())) {
                  if (!place.block().equals(block)) {
                    block = place.block();
                    blockRows = read(block);
                  }
                  put(batch, row++, blockRows[place.offset()]);
                  blockRows[place.offset()] = null;
                }
              },
              pool);
      return last;
    }

    private void put(Batch batch, int row, Row source) {
      Pair pair = source.pair;
      int values = images.values();
      ByteBuffer target =
          batch
              .pixels()
              .slice(row * values * Float.BYTES, values * Float.BYTES)
              .order(ByteOrder.nativeOrder());
      long seed = Seeds.derive(plan.settings().seed(), "augment", epoch, Seeds.hash(pair.id()));
      try {
        images.read(pair.image(), seed, target.asFloatBuffer());
      } catch (IOException | RuntimeException e) {
        throw new IllegalStateException(
            message(
                "Cannot decode the image of the pair %s because of %s. The shard was changed after ingest.",
                pair.id(), e.getMessage()),
            e);
      }
      batch.tokens()[row] = tokenizer.encode(pair.caption(), context);
      batch.images()[row] = Long.parseUnsignedLong(pair.imageId().substring(0, 16), 16);
      if (source.teacher != null) {
        batch.teacher()[row] = source.teacher;
      }
      if (source.label != null) {
        batch.labels()[row] = source.label;
      }
    }
  }

  private Row[] read(SampleOrder.Block block) {
    Shard shard = shards.get(block.shard());
    Configuration configuration = folder.configuration();
    try {
      List<Pair> pairs = readPairs(configuration, shard, block);
      List<Vector> vectors = null;
      if (plan.teacher() != null) {
        try (ShardReader<Vector> reader =
            ShardReader.open(
                configuration,
                folder.teacher(plan.teacher().name(), shard),
                VectorFormat.AS_STORED,
                shard,
                plan.teacher().settings())) {
          vectors = rows(reader.rowGroups(), reader::rows, reader::readGroup, block);
        }
      }
      List<Label> labels = null;
      if (plan.concepts() != null) {
        try (ShardReader<Label> reader =
            ShardReader.open(
                configuration,
                folder.concepts(plan.concepts().name(), shard),
                new LabelFormat(),
                shard,
                plan.concepts().settings())) {
          labels = rows(reader.rowGroups(), reader::rows, reader::readGroup, block);
        }
      }
      Row[] rows = new Row[block.rows()];
      for (int i = 0; i < rows.length; i++) {
        Pair pair = pairs.get(i);
        float[] teacher = null;
        if (vectors != null) {
          checkId(pair, vectors.get(i).id(), "embeddings", shard);
          teacher = vectors.get(i).values();
          plan.teacher().postprocessing().apply(teacher);
        }
        if (labels != null) {
          checkId(pair, labels.get(i).id(), "labels", shard);
        }
        rows[i] = new Row(pair, teacher, labels == null ? null : labels.get(i));
      }
      return rows;
    } catch (IOException e) {
      throw new IllegalStateException(e.getMessage(), e);
    }
  }

  private List<Pair> readPairs(Configuration configuration, Shard shard, SampleOrder.Block block)
      throws IOException {
    try (ShardReader<Pair> reader =
        ShardReader.open(configuration, folder.pairs(shard), PairFormat.ALL)) {
      if (!shard.identity().equals(reader.identity()) || reader.rows() != shard.rows()) {
        throw new IOException(
            message(
                "Cannot use %s because it was changed: its identity is %s with %s rows, and the manifest says %s with %s. Bring the file back, or ingest anew.",
                folder.pairs(shard),
                reader.identity(),
                reader.rows(),
                shard.identity(),
                shard.rows()));
      }
      return rows(
          reader.rowGroups(),
          reader::rows,
          group -> {
            if (reader.bytes(group) > LARGEST_GROUP) {
              throw new IOException(
                  message(
                      "Cannot read row group %s of %s because it has %s bytes, over %s. Ingest the pairs again, which makes small row groups.",
                      group, folder.pairs(shard), reader.bytes(group), LARGEST_GROUP));
            }
            return reader.readGroup(group);
          },
          block);
    }
  }

  private static void checkId(Pair pair, String id, String what, Shard shard) {
    if (!pair.id().equals(id)) {
      throw new IllegalStateException(
          message(
              "Cannot zip the pairs of %s with their %s because the rows differ: the pair is %s and the other %s. Make the %s again.",
              shard.fileName(), what, pair.id(), id, what));
    }
  }

  private interface GroupRows {
    int of(int group);
  }

  private interface GroupReader<T> {
    List<T> read(int group) throws IOException;
  }

  /** The rows of a block, from the row groups that hold them. */
  private static <T> List<T> rows(
      int groups, GroupRows groupRows, GroupReader<T> reader, SampleOrder.Block block)
      throws IOException {
    List<T> rows = new ArrayList<>(block.rows());
    int end = block.start() + block.rows();
    int start = 0;
    for (int group = 0; group < groups && start < end; group++) {
      int groupEnd = start + groupRows.of(group);
      int low = Math.max(start, block.start());
      int high = Math.min(groupEnd, end);
      if (low < high) {
        rows.addAll(reader.read(group).subList(low - start, high - start));
      }
      start = groupEnd;
    }
    return rows;
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
