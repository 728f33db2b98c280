package io.github.kklip.train;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.model.ClipModel;
import io.github.kklip.optim.AdamW;
import io.github.kklip.store.Json;
import io.github.kklip.store.SafetensorsWriter;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
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

/**
 * Writes checkpoints on a thread of its own: the step waits only while the flat tensors are copied.
 * One at a time; a failure shows at the next call.
 */
final class CheckpointWriter implements AutoCloseable {
  /** Prefixes of the moments' names in {@link Checkpoint#OPTIMIZER}. */
  static final String FIRST_MOMENT = "first_moment.";

  static final String SECOND_MOMENT = "second_moment.";

  private final CheckpointStore store;
  private final ClipModel model;
  private final AdamW optimizer;
  private final Map<String, byte[]> tokenizer;
  private final int keep;
  private final Duration timeout;
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(
          task -> {
            Thread worker = new Thread(task, "kklip-checkpoint");
            worker.setDaemon(true);
            return worker;
          });
  private Future<Written> running;

  /** A checkpoint that is whole. */
  record Written(long step, String location) {}

  /**
   * @param tokenizer the tokenizer's files by name, written into every checkpoint
   * @param keep checkpoints that are kept
   * @param timeout the longest time that one may take
   */
  CheckpointWriter(
      CheckpointStore store,
      ClipModel model,
      AdamW optimizer,
      Map<String, byte[]> tokenizer,
      int keep,
      Duration timeout) {
    this.store = store;
    this.model = model;
    this.optimizer = optimizer;
    this.tokenizer = tokenizer;
    this.keep = keep;
    this.timeout = timeout;
  }

  /** Copies the weights and moments as they are now and starts to write them. */
  void start(TrainState state) {
    await();
    NDManager manager = Torch.manager();
    try {
      NDArray parameters = copy(manager, model.parameters().data());
      NDArray first = copy(manager, optimizer.firstMoment());
      NDArray second = copy(manager, optimizer.secondMoment());
      running =
          thread.submit(
              () -> {
                try (manager) {
                  Torch.start(1);
                  return write(manager, state, parameters, first, second);
                }
              });
    } catch (RuntimeException e) {
      manager.close();
      throw e;
    }
  }

  private static NDArray copy(NDManager manager, NDArray flat) {
    return flat.getDevice().isGpu() ? Torch.toDevice(manager, flat) : Torch.clone(manager, flat);
  }

  private Written write(
      NDManager manager, TrainState state, NDArray parameters, NDArray first, NDArray second)
      throws IOException {
    SafetensorsWriter weights = tensors(manager, parameters, "", name -> !ClipModel.isHead(name));
    SafetensorsWriter heads = tensors(manager, parameters, "", ClipModel::isHead);
    SafetensorsWriter moments = tensors(manager, first, FIRST_MOMENT, name -> true);
    add(moments, manager, second, SECOND_MOMENT, name -> true);
    Map<String, CheckpointStore.Content> files = new LinkedHashMap<>();
    byte[] config = model.config().json().getBytes(StandardCharsets.UTF_8);
    files.put(Checkpoint.CONFIG, out -> out.write(config));
    tokenizer.forEach((name, bytes) -> files.put(name, out -> out.write(bytes)));
    files.put(Checkpoint.MODEL, weights::writeTo);
    files.put(Checkpoint.HEADS, heads::writeTo);
    files.put(Checkpoint.OPTIMIZER, moments::writeTo);
    files.put(Checkpoint.STATE, out -> out.write(Json.pretty(state)));
    return new Written(state.step(), store.write(state.step(), files, keep));
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

  /** Whether a checkpoint was started and {@link #await} will not wait. */
  boolean isDone() {
    return running != null && running.isDone();
  }

  /**
   * Waits for the checkpoint that is being written.
   *
   * @return what was written; empty when none was started since the last call
   */
  Optional<Written> await() {
    if (running == null) {
      return Optional.empty();
    }
    Future<Written> writing = running;
    running = null;
    try {
      return Optional.of(writing.get(timeout.toMillis(), TimeUnit.MILLISECONDS));
    } catch (ExecutionException e) {
      throw failure(e.getCause().toString(), e.getCause());
    } catch (TimeoutException e) {
      throw failure("it was not written after " + timeout, e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw failure("the thread was interrupted", e);
    }
  }

  private static IllegalStateException failure(String why, Throwable cause) {
    return new IllegalStateException(
        "Cannot write the checkpoint because of this: "
            + why
            + ". Check train.output and its space.",
        cause);
  }

  @Override
  public void close() {
    thread.shutdown();
  }
}
