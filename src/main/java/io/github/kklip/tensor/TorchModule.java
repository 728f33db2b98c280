package io.github.kklip.tensor;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.ndarray.NDManager;
import ai.djl.pytorch.engine.PtNDManager;
import ai.djl.pytorch.jni.TorchScriptBridge;
import io.github.kklip.config.ElementType;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

/**
 * Methods in TorchScript: a resource text of functions {@code def name(self, x: Tensor, ...) ->
 * ...:} that becomes one class without parameters in an archive. The grammar is that of serialised
 * TorchScript: {@code torch.NAME} is the ATen operator of that name, a type of elements is its
 * number ({@link ElementType#scalarType}).
 */
public final class TorchModule {
  private static final String CLASS_NAME = "Methods";

  private final String name;
  private final long handle;

  private TorchModule(String name, long handle) {
    this.name = name;
    this.handle = handle;
  }

  static TorchModule load(String name) {
    String resource = "/io/github/kklip/" + name + ".torchscript";
    try (InputStream in = TorchModule.class.getResourceAsStream(resource)) {
      if (in == null) {
        throw new IllegalArgumentException(
            message(
                "Cannot load TorchScript methods, because there is no resource %s. Add the file under src/main/resources.",
                resource));
      }
      String methods = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      return new TorchModule(name, TorchScriptBridge.load(archive(methods)));
    } catch (IOException e) {
      throw new UncheckedIOException(message("Cannot read the resource %s", resource), e);
    }
  }

  /**
   * What {@code torch.jit.save} writes for a module without parameters: its code and an empty
   * object.
   */
  private static byte[] archive(String methods) throws IOException {
    String code =
        "class "
            + CLASS_NAME
            + "(Module):\n  __parameters__ = []\n  __buffers__ = []\n"
            + methods.indent(2);
    // Pickle, protocol 2: GLOBAL class, EMPTY_TUPLE, NEWOBJ, EMPTY_DICT, BUILD, STOP.
    byte[] object =
        ("\u0080\u0002c__torch__\n" + CLASS_NAME + "\n)\u0081}b.")
            .getBytes(StandardCharsets.ISO_8859_1);
    byte[] emptyTuple = "\u0080\u0002).".getBytes(StandardCharsets.ISO_8859_1);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (ZipOutputStream zip = new ZipOutputStream(bytes)) {
      entry(zip, "data.pkl", object);
      entry(zip, "code/__torch__.py", code.getBytes(StandardCharsets.UTF_8));
      entry(zip, "constants.pkl", emptyTuple);
      entry(zip, "version", "3\n".getBytes(StandardCharsets.US_ASCII));
    }
    return bytes.toByteArray();
  }

  private static void entry(ZipOutputStream zip, String name, byte[] content) throws IOException {
    zip.putNextEntry(new ZipEntry("methods/" + name));
    zip.write(content);
    zip.closeEntry();
  }

  /**
   * Calls a method that returns any number of tensors. Differentiable when the thread's grad mode
   * is on ({@link Grad}).
   *
   * @param arguments arrays, lists of arrays, Integer, Long, Float, Double, Boolean, String,
   *     long[], double[]
   * @return the tensors, attached to {@code manager}; empty for None
   */
  public NDList callAll(NDManager manager, String method, Object... arguments) {
    try {
      return TorchScriptBridge.run((PtNDManager) manager, handle, method, arguments);
    } catch (RuntimeException e) {
      throw new IllegalStateException(
          message("Cannot run %s.%s: %s", name, method, e.getMessage()), e);
    }
  }

  /** Calls a method that returns one tensor, which is attached to {@code manager}. */
  public NDArray call(NDManager manager, String method, Object... arguments) {
    NDList all = callAll(manager, method, arguments);
    if (all.size() != 1) {
      all.close();
      throw new IllegalStateException(
          message(
              "Cannot take one result of %s.%s, because it returned %s tensors.",
              name, method, all.size()));
    }
    return all.get(0);
  }

  /** Calls a method for its effect on its arguments. */
  public void run(NDManager manager, String method, Object... arguments) {
    callAll(manager, method, arguments).close();
  }
}
