package io.github.kklip.comms.nccl;

import static io.github.kklip.config.Message.message;
import static org.bytedeco.cuda.global.cudart.cudaErrorNotReady;
import static org.bytedeco.cuda.global.cudart.cudaEventCreateWithFlags;
import static org.bytedeco.cuda.global.cudart.cudaEventDisableTiming;
import static org.bytedeco.cuda.global.cudart.cudaEventRecord;
import static org.bytedeco.cuda.global.cudart.cudaGetDeviceCount;
import static org.bytedeco.cuda.global.cudart.cudaGetErrorString;
import static org.bytedeco.cuda.global.cudart.cudaMemoryTypeDevice;
import static org.bytedeco.cuda.global.cudart.cudaPointerGetAttributes;
import static org.bytedeco.cuda.global.cudart.cudaSetDevice;
import static org.bytedeco.cuda.global.cudart.cudaStreamCreateWithFlags;
import static org.bytedeco.cuda.global.cudart.cudaStreamNonBlocking;
import static org.bytedeco.cuda.global.cudart.cudaStreamQuery;
import static org.bytedeco.cuda.global.cudart.cudaStreamWaitEvent;
import static org.bytedeco.cuda.global.nccl.ncclAllReduce;
import static org.bytedeco.cuda.global.nccl.ncclBroadcast;
import static org.bytedeco.cuda.global.nccl.ncclCommAbort;
import static org.bytedeco.cuda.global.nccl.ncclCommGetAsyncError;
import static org.bytedeco.cuda.global.nccl.ncclCommInitRank;
import static org.bytedeco.cuda.global.nccl.ncclGetErrorString;
import static org.bytedeco.cuda.global.nccl.ncclGetUniqueId;
import static org.bytedeco.cuda.global.nccl.ncclGroupEnd;
import static org.bytedeco.cuda.global.nccl.ncclGroupStart;
import static org.bytedeco.cuda.global.nccl.ncclReduce;
import static org.bytedeco.cuda.global.nccl.ncclSum;

import io.github.kklip.comms.transport.Closing;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.Liveness;
import io.github.kklip.comms.transport.Operation;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.comms.transport.Transport;
import io.github.kklip.config.ElementType;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.locks.LockSupport;
import org.bytedeco.cuda.cudart.CUevent_st;
import org.bytedeco.cuda.cudart.CUstream_st;
import org.bytedeco.cuda.cudart.cudaPointerAttributes;
import org.bytedeco.cuda.global.nccl;
import org.bytedeco.cuda.nccl.ncclComm;
import org.bytedeco.cuda.nccl.ncclUniqueId;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * GPUs that reach each other by NCCL. Buffers whose memory is a device's are its; those of the host
 * stay with the transport under it, which also carries its unique id. NCCL neither encrypts nor
 * authenticates, so that it is used only where nothing has to be encrypted.
 *
 * <p>A stream of its own begins after what libtorch has put into the default one by then, and the
 * operation is done when the stream is: in between, libtorch goes on. Failures of other ranks and
 * the step timeout abort the communicator.
 */
public final class Nccl implements Transport {
  private static final Logger LOG = LoggerFactory.getLogger(Nccl.class);
  private static final int ID_BYTES = 128;
  private static final int REASON_BYTES = 256;

  /** Numbers of the operations by which ranks agree; no others are so far below zero. */
  private static final long AGREEMENT = -1_000_000;

  private static final long NAP_NANOS = 20_000;

  private final Transport host;
  private final int rank;
  private final int ranks;
  private final int gpu;
  private final Liveness liveness;
  private final ncclComm communicator = new ncclComm();
  private final CUstream_st stream = new CUstream_st();
  private final CUevent_st event = new CUevent_st();
  private boolean started;
  private boolean aborted;

  private Nccl(Transport host, int rank, int ranks, int gpu, Liveness liveness) {
    this.host = host;
    this.rank = rank;
    this.ranks = ranks;
    this.gpu = gpu;
    this.liveness = liveness;
  }

  /**
   * NCCL over all ranks, or the host's transport when one of them cannot; all come to the same.
   *
   * @param required whether the latter is a failure
   * @param gpu the number of this rank's device; negative: it computes on the CPU
   * @param limit until all have joined
   */
  public static Transport over(
      Transport host,
      int rank,
      int ranks,
      int gpu,
      Liveness liveness,
      Duration limit,
      boolean required)
      throws IOException {
    byte[] id = new byte[ID_BYTES];
    String obstacle = obstacle(gpu, rank == 0, id);
    // Each tells what hinders it, and rank 0 the unique id.
    int each = REASON_BYTES + ID_BYTES;
    ByteBuffer all = ByteBuffer.allocateDirect(ranks * each);
    byte[] reason = obstacle.getBytes(StandardCharsets.UTF_8);
    all.put(rank * each, reason, 0, Math.min(reason.length, REASON_BYTES));
    all.put(rank * each + REASON_BYTES, id);
    int[] counts = new int[ranks];
    Arrays.fill(counts, each);
    host.run(AGREEMENT, Operation.allGather(all, ElementType.UINT8, ranks, counts));
    for (int r = 0; r < ranks; r++) {
      byte[] theirs = new byte[REASON_BYTES];
      all.get(r * each, theirs);
      String text = new String(theirs, StandardCharsets.UTF_8).trim();
      if (!text.isEmpty()) {
        String message = "Cannot use NCCL because rank " + r + " " + text + ".";
        if (required) {
          throw CollectiveException.primary(
              message + " Set train.transport = auto to do without.", null);
        }
        LOG.info("{} The transport is {}.", message, host.name());
        return host;
      }
    }
    all.get(REASON_BYTES, id);
    Nccl transport = new Nccl(host, rank, ranks, gpu, liveness);
    transport.join(id, limit);
    return transport;
  }

  /** Why this rank cannot; empty when it can. */
  private static String obstacle(int gpu, boolean first, byte[] id) {
    if (gpu < 0) {
      return "computes on the CPU";
    }
    try {
      int[] devices = new int[1];
      int status = cudaGetDeviceCount(devices);
      if (status != 0) {
        return "finds no GPU: " + cudaGetErrorString(status).getString();
      }
      if (devices[0] <= gpu) {
        return "finds " + devices[0] + " GPUs and needs the one of number " + gpu;
      }
      if (first) {
        ncclUniqueId unique = new ncclUniqueId();
        status = ncclGetUniqueId(unique);
        if (status != 0) {
          return "gets no unique id: " + ncclGetErrorString(status).getString();
        }
        new BytePointer(unique).get(id);
      } else {
        // Loads the library.
        ncclGetErrorString(0);
      }
      return "";
    } catch (LinkageError e) {
      return "has no libraries of CUDA and NCCL on its path ("
          + e.getClass().getSimpleName()
          + ": "
          + e.getMessage()
          + ")";
    }
  }

  /** NCCL waits for all ranks without end, so that a thread of its own does. */
  private void join(byte[] id, Duration limit) throws IOException {
    CompletableFuture<Void> joined = new CompletableFuture<>();
    Closing.daemon(
        "kklip-nccl-" + rank,
        () -> {
          try {
            ncclUniqueId unique = new ncclUniqueId();
            new BytePointer(unique).put(id);
            cuda(cudaSetDevice(gpu));
            cuda(cudaStreamCreateWithFlags(stream, cudaStreamNonBlocking));
            cuda(cudaEventCreateWithFlags(event, cudaEventDisableTiming));
            nccl(ncclCommInitRank(communicator, ranks, unique, rank));
            joined.complete(null);
          } catch (IOException | RuntimeException | LinkageError e) {
            joined.completeExceptionally(e);
          }
        });
    long start = System.nanoTime();
    while (true) {
      liveness.check();
      try {
        joined.get(100, TimeUnit.MILLISECONDS);
        return;
      } catch (TimeoutException e) {
        if (System.nanoTime() - start > limit.toNanos()) {
          throw new IOException(
              message(
                  "Cannot join the ranks by NCCL at rank %s because not all came within train.rendezvous-timeout = %s s.",
                  rank, limit.toSeconds()),
              e);
        }
      } catch (ExecutionException e) {
        throw new IOException(message("Cannot join the ranks by NCCL at rank %s: %s", rank, e), e);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        throw new IOException("Cannot join the ranks by NCCL because of an interruption.", e);
      }
    }
  }

  @Override
  public String name() {
    return "nccl";
  }

  @Override
  public boolean takesDeviceMemory() {
    return true;
  }

  @Override
  public void run(long number, Operation operation) throws IOException {
    if (operation.kind() == Operation.OperationKind.BARRIER || !isOnDevice(operation.buffer())) {
      host.run(number, operation);
      return;
    }
    if (!started) {
      // The current device is a property of the thread.
      cuda(cudaSetDevice(gpu));
      started = true;
    }
    try {
      cuda(cudaEventRecord(event));
      cuda(cudaStreamWaitEvent(stream, event));
      enqueue(operation);
      await(operation);
    } catch (IOException | RuntimeException e) {
      abort();
      throw e;
    }
  }

  /** All in place. Shards may differ in size, which NCCL's own scatter and gather do not allow. */
  private void enqueue(Operation operation) throws IOException {
    int type = typeOf(operation.type());
    if (operation.kind() == Operation.OperationKind.ALL_REDUCE) {
      Pointer all = new Pointer(operation.buffer());
      long count = operation.buffer().remaining() / operation.type().bytes();
      nccl(ncclAllReduce(all, all, count, type, ncclSum, communicator, stream));
      return;
    }
    RankShards shards = operation.cut();
    nccl(ncclGroupStart());
    for (int r = 0; r < ranks; r++) {
      ByteBuffer shard = shards.shard(r);
      if (shard.hasRemaining()) {
        Pointer p = new Pointer(shard);
        long count = shard.remaining() / operation.type().bytes();
        nccl(
            operation.kind().sums()
                ? ncclReduce(p, p, count, type, ncclSum, r, communicator, stream)
                : ncclBroadcast(p, p, count, type, r, communicator, stream));
      }
    }
    nccl(ncclGroupEnd());
  }

  private void await(Operation operation) throws IOException {
    long start = System.nanoTime();
    int next = (rank + 1) % ranks;
    int[] failure = new int[1];
    for (int status = cudaStreamQuery(stream); status != 0; status = cudaStreamQuery(stream)) {
      if (status != cudaErrorNotReady) {
        cuda(status);
      }
      liveness.check();
      nccl(ncclCommGetAsyncError(communicator, failure));
      nccl(failure[0]);
      if (System.nanoTime() - start > liveness.patience().toNanos()) {
        throw liveness.stuck(operation, next, liveness.isBehind(next));
      }
      LockSupport.parkNanos(NAP_NANOS);
    }
  }

  private static int typeOf(ElementType type) {
    return switch (type) {
      case FLOAT32 -> nccl.ncclFloat32;
      case FLOAT64 -> nccl.ncclFloat64;
      case BFLOAT16 -> nccl.ncclBfloat16;
      case UINT8 -> nccl.ncclUint8;
      default -> throw new IllegalArgumentException("Cannot send " + type + " by NCCL.");
    };
  }

  private static boolean isOnDevice(ByteBuffer buffer) throws IOException {
    if (!buffer.isDirect() || !buffer.hasRemaining()) {
      return false;
    }
    try (cudaPointerAttributes attributes = new cudaPointerAttributes();
        Pointer memory = new Pointer(buffer)) {
      cuda(cudaPointerGetAttributes(attributes, memory));
      return attributes.type() == cudaMemoryTypeDevice;
    }
  }

  private static void cuda(int status) throws IOException {
    if (status != 0) {
      throw new IOException(message("CUDA says: %s", cudaGetErrorString(status).getString()));
    }
  }

  private static void nccl(int status) throws IOException {
    if (status != 0) {
      throw new IOException(message("NCCL says: %s", ncclGetErrorString(status).getString()));
    }
  }

  private void abort() {
    if (!aborted) {
      aborted = true;
      ncclCommAbort(communicator);
    }
  }

  @Override
  public void wake() {
    // Its own naps are short.
    host.wake();
  }

  /** The communicator ends without a word to the others: all have done their last operation. */
  @Override
  public void close() {
    abort();
    Closing.quietly(host);
  }
}
