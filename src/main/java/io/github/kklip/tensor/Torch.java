package io.github.kklip.tensor;

import static io.github.kklip.config.Message.message;

import ai.djl.Device;
import ai.djl.engine.Engine;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.DataType;
import ai.djl.ndarray.types.Shape;
import ai.djl.ndarray.types.SparseFormat;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.JniUtils;
import ai.djl.util.cuda.CudaUtils;
import com.sun.jna.NativeLibrary;
import com.sun.jna.ptr.PointerByReference;
import io.github.kklip.config.ElementType;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.lang.management.MemoryUsage;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.ConcurrentHashMap;
import java.util.stream.Stream;

/**
 * The way into libtorch. Call {@link #start} first on every thread that computes: libtorch's number
 * of threads, grad mode and graph executor are properties of the calling thread. Nothing here
 * belongs to a rank or a device, so ranks may share a process.
 *
 * <p>Traps that the methods here avoid: DJL's {@code toType}, {@code toDevice} and {@code
 * duplicate} cut the graph of autograd ({@link #cast} does not); its {@code set(Buffer)} and {@code
 * copyTo} give an array new storage, so that a view silently leaves its flat tensor ({@link #copy},
 * {@link #write} keep the storage); its calls abort on bfloat16.
 */
public final class Torch {
  private static final Map<String, TorchModule> MODULES = new ConcurrentHashMap<>();

  private static boolean loaded;

  private Torch() {}

  /**
   * Opens the engine, once for the process and without any download, and sets up the calling
   * thread: grad mode off, methods run as written, {@code threads} native threads within an
   * operator (0: as many as there are processors).
   */
  public static void start(int threads) {
    if (threads < 0) {
      throw new IllegalArgumentException(
          message(
              "Cannot start libtorch with a negative number of threads: %s. Use 0 for all.",
              threads));
    }
    load();
    JniUtils.setNumThreads(threads == 0 ? Runtime.getRuntime().availableProcessors() : threads);
    JniUtils.setGradMode(false);
    // With it on, the second and third call of every method compile it anew for the shapes seen.
    JniUtils.setGraphExecutorOptimize(false);
  }

  private static synchronized void load() {
    if (loaded) {
      return;
    }
    if (System.getProperty("ai.djl.offline") == null) {
      System.setProperty("ai.djl.offline", "true");
    }
    Engine.getEngine("PyTorch");
    // DJL asks CUDA's runtime by its bare name, which a libtorch from pip does not put on any path.
    mapped("/libcudart.so")
        .ifPresent(file -> NativeLibrary.addSearchPath("cudart", file.getParent().toString()));
    loaded = true;
  }

  /** libtorch's version, such as 2.7.1. */
  public static String version() {
    return Engine.getEngine("PyTorch").getVersion();
  }

  /** Native threads within an operator on the calling thread. */
  public static int threads() {
    return JniUtils.getNumThreads();
  }

  /** CUDA devices that libtorch sees. */
  public static int gpus() {
    return Engine.getEngine("PyTorch").getGpuCount();
  }

  /** {@code cpu}, {@code cuda} (the first) or {@code cuda:N}. */
  public static Device device(String name) {
    if (name.equals("cpu")) {
      return Device.cpu();
    }
    if (!name.matches("cuda(:\\d{1,4})?")) {
      throw new IllegalArgumentException(
          message("Cannot use the device %s, because it is neither cpu nor cuda:N.", name));
    }
    int index = name.equals("cuda") ? 0 : Integer.parseInt(name.substring("cuda:".length()));
    int gpus = gpus();
    if (index >= gpus) {
      throw new IllegalArgumentException(
          message(
              "Cannot use the device %s, because libtorch sees this many CUDA devices: %s. Check the driver and that the CUDA build of libtorch is on the path (`doctor` shows it).",
              name, gpus));
    }
    return Device.gpu(index);
  }

  /** Bytes of a GPU's memory that nobody has taken; without CUDA's runtime to ask, no limit. */
  public static long freeMemory(Device gpu) {
    if (!CudaUtils.hasCuda()) {
      return Long.MAX_VALUE;
    }
    MemoryUsage usage = CudaUtils.getGpuMemory(gpu);
    return usage.getMax() - usage.getCommitted();
  }

  /**
   * The type in which to multiply numbers of {@code type} on a device. A processor without bfloat16
   * instructions multiplies float32 about ten times faster than bfloat16, and no less exactly:
   * every bfloat16 is a float32.
   */
  public static ElementType products(ElementType type, Device device) {
    boolean emulated =
        type == ElementType.BFLOAT16 && !device.isGpu() && !Processor.multipliesBfloat16();
    return emulated ? ElementType.FLOAT32 : type;
  }

  /** A new owner of native memory on a device: closing it frees all that was made by it. */
  public static NDManager manager(Device device) {
    return NDManager.newBaseManager(device, "PyTorch");
  }

  /** {@link #manager(Device)} on the CPU. */
  public static NDManager manager() {
    return manager(Device.cpu());
  }

  /**
   * The TorchScript methods of the resource {@code /io/github/kklip/NAME.torchscript}, for example
   * {@code teacher/llama}. Loaded once for the process.
   */
  public static TorchModule module(String name) {
    return MODULES.computeIfAbsent(name, TorchModule::load);
  }

  private static TorchModule core() {
    return module("tensor/core");
  }

  /**
   * {@code x} in another type of elements, differentiable; {@code x} itself (as a new handle) when
   * it has that type.
   */
  public static NDArray cast(NDArray x, ElementType type) {
    return core().call(x.getManager(), "cast", x, type.scalarType());
  }

  /**
   * {@code x} on the manager's device, without its history; the same memory where it is there
   * already.
   */
  public static NDArray toDevice(NDManager manager, NDArray x) {
    return core().call(manager, "to_device", x, name(manager.getDevice()));
  }

  /**
   * {@link #toDevice} for what is sent again and again: to a GPU through page-locked memory, so
   * that the calling thread does not wait for the copy. {@code x} may change as soon as this
   * returns.
   */
  public static NDArray send(NDManager manager, NDArray x) {
    return manager.getDevice().isGpu() && !x.getDevice().isGpu()
        ? core().call(manager, "send", x, name(manager.getDevice()))
        : toDevice(manager, x);
  }

  private static String name(Device device) {
    return device.isGpu() ? "cuda:" + device.getDeviceId() : "cpu";
  }

  /** A contiguous copy in memory of its own, without history. */
  public static NDArray clone(NDManager manager, NDArray x) {
    return core().call(manager, "clone", x);
  }

  /**
   * Writes {@code source} (same number of elements, any type or device) over {@code target} in
   * place.
   */
  public static void copy(NDArray target, NDArray source) {
    core().run(target.getManager(), "copy", target, source);
  }

  /** Writes one value over all of {@code target} in place. */
  public static void fill(NDArray target, double value) {
    core().run(target.getManager(), "fill", target, value);
  }

  /** {@code elements} of {@code x} from {@code offset} along the first axis: the same memory. */
  public static NDArray narrow(NDArray x, long offset, long elements) {
    return core().call(x.getManager(), "narrow", x, offset, elements);
  }

  /** A new tensor of zeros, of a type that may be bfloat16, on the manager's device. */
  public static NDArray zeros(NDManager manager, Shape shape, ElementType type) {
    return core()
        .call(manager, "zeros", shape.getShape(), type.scalarType(), name(manager.getDevice()));
  }

  /**
   * An array on the CPU over the bytes of a direct buffer between its position and its limit, in
   * native byte order. No copy is made (except of bfloat16), so the buffer must stay reachable
   * while the array is used.
   */
  public static NDArray wrap(NDManager manager, ByteBuffer direct, Shape shape, ElementType type) {
    if (!direct.isDirect() || direct.remaining() != shape.size() * type.bytes()) {
      throw new IllegalArgumentException(
          message(
              "Cannot view a buffer as %s%s, because it is %s",
              type,
              shape,
              direct.isDirect() ? "of " + direct.remaining() + " bytes." : "not direct."));
    }
    if (type != ElementType.BFLOAT16) {
      return onCpu(manager, direct, shape, type);
    }
    try (NDArray bytes = bytes(manager, direct)) {
      return core().call(manager, "from_bytes", bytes, type.scalarType(), shape.getShape());
    }
  }

  private static NDArray bytes(NDManager manager, ByteBuffer direct) {
    return onCpu(manager, direct, new Shape(direct.remaining()), ElementType.UINT8);
  }

  private static NDArray onCpu(
      NDManager manager, ByteBuffer direct, Shape shape, ElementType type) {
    ByteBuffer bytes = direct.slice().order(ByteOrder.nativeOrder());
    return JniUtils.createNdFromByteBuffer(
        (PtNDManager) manager, bytes, shape, dataType(type), SparseFormat.DENSE, Device.cpu());
  }

  /**
   * DJL's name of a type. It has one for bfloat16, but several native calls take it for another
   * type and abort the process: bfloat16 goes by libtorch's code only.
   */
  private static DataType dataType(ElementType type) {
    return switch (type) {
      case FLOAT32 -> DataType.FLOAT32;
      case FLOAT64 -> DataType.FLOAT64;
      case FLOAT16 -> DataType.FLOAT16;
      case INT64 -> DataType.INT64;
      case INT32 -> DataType.INT32;
      case UINT8 -> DataType.UINT8;
      case BOOL -> DataType.BOOLEAN;
      case BFLOAT16 ->
          throw new IllegalArgumentException(
              message(
                  "Cannot make an array through DJL, because its calls abort on the type: %s. Cast with Torch.cast.",
                  type));
    };
  }

  /** Writes the bytes of a direct buffer over {@code target} in place, on any device. */
  public static void write(NDArray target, ByteBuffer direct, ElementType type) {
    try (NDManager scope = target.getManager().newSubManager()) {
      core().run(scope, "copy", target, wrap(scope, direct, target.getShape(), type));
    }
  }

  /** Reads {@code source}, on any device, into a direct buffer as elements of {@code type}. */
  public static void read(NDArray source, ByteBuffer direct, ElementType type) {
    try (NDManager scope = source.getManager().newSubManager()) {
      if (type == ElementType.BFLOAT16) {
        core().run(scope, "to_bytes", bytes(scope, direct), source, type.scalarType());
      } else {
        core().run(scope, "copy", wrap(scope, direct, source.getShape(), type), source);
      }
    }
  }

  /**
   * The memory of a contiguous array on the CPU as a direct buffer, read and write. It dangles once
   * the array's storage is freed, so keep the array open; 2 GiB at the most (take a {@link #narrow}
   * of a larger one).
   */
  public static ByteBuffer memory(NDArray x) {
    if (!x.getDevice().equals(Device.cpu())) {
      throw new IllegalArgumentException(
          message(
              "Cannot view memory of the device %s from the host. Use read and write.",
              x.getDevice()));
    }
    return x.toByteBuffer(true).order(ByteOrder.nativeOrder());
  }

  /**
   * The memory of a contiguous tensor on its device. The host may use no more than its address, and
   * only while the tensor lives: to read or write through it ends the JVM where the device is a
   * GPU.
   *
   * @param type that it has; DJL does not know bfloat16's size
   */
  public static ByteBuffer deviceMemory(NDArray x, ElementType type) {
    PointerByReference address = new PointerByReference();
    int status =
        libtorch()
            .getFunction("aoti_torch_get_data_ptr")
            .invokeInt(new Object[] {((PtNDArray) x).getHandle(), address});
    if (status != 0) {
      throw new IllegalStateException(message("Cannot find the memory of %s.", x.getShape()));
    }
    return address
        .getValue()
        .getByteBuffer(0, x.size() * type.bytes())
        .order(ByteOrder.nativeOrder());
  }

  private static NativeLibrary libtorch() {
    return mapped("/libtorch_cpu.so")
        .map(file -> NativeLibrary.getInstance(file.toString()))
        .orElseThrow(() -> new IllegalStateException("Cannot find libtorch_cpu.so in memory."));
  }

  /** A library that is loaded, whatever brought it; any version. */
  private static Optional<Path> mapped(String name) {
    try (Stream<String> maps = Files.lines(Path.of("/proc/self/maps"))) {
      return maps.filter(line -> line.contains(name))
          .map(line -> Path.of(line.substring(line.indexOf('/'))))
          .findFirst();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** The elements as float, on any device and from any type. */
  public static float[] floats(NDArray x) {
    try (NDArray cast = cast(x, ElementType.FLOAT32)) {
      return cast.toFloatArray();
    }
  }

  /** The single element of {@code x}. */
  public static double scalar(NDArray x) {
    try (NDArray cast = cast(x, ElementType.FLOAT64)) {
      return cast.toDoubleArray()[0];
    }
  }

  /**
   * The first {@code elements} elements of a file, mapped into memory: pages are read when they are
   * used, writes stay private to the process, and the file may be larger than 2 GiB.
   */
  public static NDArray fromFile(NDManager manager, Path file, long elements, ElementType type) {
    return core()
        .call(manager, "from_file", file.toAbsolutePath().toString(), elements, type.scalarType());
  }

  /** Elements {@code offset..} of a flat array seen as {@code shape}: the same memory. */
  public static NDArray view(NDManager manager, NDArray flat, long offset, Shape shape) {
    return core().call(manager, "view", flat, offset, shape.getShape());
  }

  /**
   * Fills {@code target} with draws from N(mean, deviation²) of a generator of its own. Made on the
   * CPU: equal on every device.
   */
  public static void normal(NDArray target, double mean, double deviation, long seed) {
    core().run(target.getManager(), "normal", target, mean, deviation, seed);
  }

  /** The number of elements between the start of {@code x}'s storage and its first element. */
  static long storageOffset(NDArray x) {
    try (NDArray offset = core().call(x.getManager(), "storage_offset", x)) {
      return offset.toLongArray()[0];
    }
  }
}
