package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.config.ElementType;
import io.github.kklip.model.ClipModel;
import io.github.kklip.safetensors.SafetensorsWriter;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.tensor.Torch;
import io.github.kklip.text.StudentTokenizer;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.function.Predicate;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes checkpoints on a thread of its own: the step waits only while the flat tensors are copied.
 * One at a time; a failure shows at the next call.
 */
public final class CheckpointWriter implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointWriter.class);

  /** Prefixes of the moments' names in {@link Checkpoint#OPTIMIZER}. */
  public static final String FIRST_MOMENT = "first_moment.";

  public static final String SECOND_MOMENT = "second_moment.";

  private final Collective collective;
  private final CheckpointStore store;
  private final ClipModel model;
  private final Map<String, byte[]> companions;
  private final Map<String, String> headInputs;
  private final int keep;
  private final Duration timeout;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          task -> {
            Thread worker = new Thread(task, "kklip-checkpoint");
            worker.setDaemon(true);
            return worker;
          });
  private Future<WrittenCheckpoint> running;
  private long deadline;

  /** A checkpoint that is whole. */
  public record WrittenCheckpoint(long step, String location) {}

  /**
   * Begins an attempt at the run.
   *
   * @param collective must be whole whenever something is written
   * @param companions files by name that are written into every checkpoint: those of the tokenizer
   *     and the preprocessing
   * @param headInputs what the heads refer to: metadata of their file
   * @param keep checkpoints that are kept
   * @param timeout the longest time that one may take
   * @throws IllegalStateException when the folder of checkpoints cannot be written
   */
  public CheckpointWriter(
      Collective collective,
      CheckpointStore store,
      ClipModel model,
      Map<String, byte[]> companions,
      Map<String, String> headInputs,
      int keep,
      Duration timeout) {
    try {
      store.begin(collective::check);
    } catch (IOException e) {
      throw failure(e.toString(), e);
    }
    this.collective = collective;
    this.store = store;
    this.model = model;
    this.companions = companions;
    this.headInputs = headInputs;
    this.keep = keep;
    this.timeout = timeout;
  }

  /**
   * The files of a tokenizer's folder by name, so that a checkpoint is whole in itself. {@code
   * tokenizer.json} is made where the folder lacks it; the others are not always there.
   */
  public static Map<String, byte[]> tokenizerFiles(String folder, Configuration configuration)
      throws IOException {
    Map<String, byte[]> files = new LinkedHashMap<>();
    for (String name : Checkpoint.TOKENIZER_FILES) {
      Path path = new Path(Storage.path(folder, configuration), name);
      try (InputStream in = Storage.of(configuration, path).open(path)) {
        files.put(name, in.readAllBytes());
      } catch (FileNotFoundException e) {
        LOG.debug("The tokenizer has no {}", path);
      }
    }
    if (!files.containsKey(StudentTokenizer.FILE)) {
      files.put(
          StudentTokenizer.FILE,
          StudentTokenizer.json(folder, configuration).getBytes(StandardCharsets.UTF_8));
    }
    return files;
  }

  /**
   * Starts to write; closes the snapshot when it is written.
   *
   * @param before must be done before the checkpoint is whole
   */
  public void start(TrainState state, Snapshot snapshot, Future<Void> before) {
    await();
    deadline = System.nanoTime() + timeout.toNanos();
    running =
        thread.submit(
            () -> {
              try (snapshot) {
                Torch.start(1);
                before.get(timeout.toMillis(), TimeUnit.MILLISECONDS);
                return write(state, snapshot);
              }
            });
  }

  private WrittenCheckpoint write(TrainState state, Snapshot snapshot) throws IOException {
    try (NDManager views = snapshot.manager().newSubManager()) {
      return write(state, snapshot, views);
    }
  }

  private WrittenCheckpoint write(TrainState state, Snapshot snapshot, NDManager manager)
      throws IOException {
    SafetensorsWriter weights =
        tensors(manager, snapshot.parameters(), "", name -> !ClipModel.isHead(name));
    SafetensorsWriter heads = tensors(manager, snapshot.parameters(), "", ClipModel::isHead);
    headInputs.forEach(heads::metadata);
    SafetensorsWriter moments =
        tensors(manager, snapshot.firstMoment(), FIRST_MOMENT, name -> true);
    add(moments, manager, snapshot.secondMoment(), SECOND_MOMENT, name -> true);
    Map<String, CheckpointStore.Content> files = new LinkedHashMap<>();
    byte[] config = model.config().json().getBytes(StandardCharsets.UTF_8);
    files.put(Checkpoint.CONFIG, out -> out.write(config));
    companions.forEach((name, bytes) -> files.put(name, out -> out.write(bytes)));
    files.put(Checkpoint.MODEL, weights::writeTo);
    files.put(Checkpoint.HEADS, heads::writeTo);
    files.put(Checkpoint.OPTIMIZER, moments::writeTo);
    files.put(Checkpoint.STATE, out -> out.write(Json.pretty(state)));
    // A rank that was stopped and continued writes nothing more.
    return new WrittenCheckpoint(
        state.step(), store.write(state.step(), files, keep, collective::check));
  }

  private SafetensorsWriter tensors(
      NDManager manager, NDArray flat, String prefix, Predicate<String> wanted) {
    // transformers refuses files without this entry.
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
    add(writer, manager, flat, prefix, wanted);
    return writer;
  }

  /** Adds the wanted tensors of {@code flat}, which stand in the order of the parameters. */
  private void add(
      SafetensorsWriter writer,
      NDManager manager,
      NDArray flat,
      String prefix,
      Predicate<String> wanted) {
    long offset = 0;
    for (Map.Entry<String, NDArray> entry : model.parameters().tensors().entrySet()) {
      Shape shape = entry.getValue().getShape();
      if (wanted.test(entry.getKey())) {
        writer.add(
            prefix + entry.getKey(), Torch.view(manager, flat, offset, shape), ElementType.FLOAT32);
      }
      offset += shape.size();
    }
  }

  /** Whether a checkpoint is being written, so that {@link #start} would have to wait for it. */
  public boolean isBusy() {
    return running != null && !running.isDone();
  }

  /**
   * What was written since the last call, without a wait; a failure also when it takes too long.
   */
  public Optional<WrittenCheckpoint> poll() {
    return isBusy() && System.nanoTime() < deadline ? Optional.empty() : await();
  }

  /**
   * Waits for the checkpoint that is being written.
   *
   * @return what was written; empty when none was started since the last call
   */
  public Optional<WrittenCheckpoint> await() {
    if (running == null) {
      return Optional.empty();
    }
    Future<WrittenCheckpoint> writing = running;
    running = null;
    try {
      long left = Math.max(0, deadline - System.nanoTime());
      return Optional.of(writing.get(left, TimeUnit.NANOSECONDS));
    } catch (ExecutionException e) {
      Throwable cause =
          e.getCause() instanceof ExecutionException ? e.getCause().getCause() : e.getCause();
      throw failure(cause.toString(), cause);
    } catch (TimeoutException e) {
      throw failure(message("it was not written after %s", timeout), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failure("the thread was interrupted", e);
    }
  }

  private static IllegalStateException failure(String why, Throwable cause) {
    return new IllegalStateException(
        message(
            "Cannot write the checkpoint because of this: %s. Check train.output and its space.",
            why),
        cause);
  }

  @Override
  public void close() {
    thread.shutdown();
  }
}
