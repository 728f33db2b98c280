package ai.djl.pytorch.jni;

import static io.github.kklip.config.Message.message;

import ai.djl.Device;
import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDList;
import ai.djl.pytorch.engine.PtNDArray;
import ai.djl.pytorch.engine.PtNDManager;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.util.List;

/**
 * Runs a TorchScript method with arguments of any kind. It stands in DJL's package because DJL's
 * public calls carry only tensors, or run under inference mode, whose results cannot be
 * differentiated.
 */
public final class TorchScriptBridge {
  private TorchScriptBridge() {}

  /** Loads an archive; the handle lives as long as the process. */
  public static long load(byte[] archive) throws IOException {
    return JniUtils.loadModuleHandle(new ByteArrayInputStream(archive), Device.cpu(), false, false);
  }

  /**
   * Runs a method. Arguments: NDArray, list of NDArray, Integer, Long, Float, Double, Boolean,
   * String, long[], double[].
   *
   * @return the tensors that the method returns (none for None), attached to {@code manager}
   */
  public static NDList run(PtNDManager manager, long module, String method, Object... arguments) {
    PyTorchLibrary library = PyTorchLibrary.LIB;
    long[] values = new long[arguments.length];
    long result;
    int made = 0;
    try {
      for (; made < values.length; made++) {
        values[made] = value(library, arguments[made]);
      }
      // "train" keeps DJL from switching inference mode on; the caller's grad mode is in force.
      result = library.moduleRunMethod(module, method, values, true, false);
    } finally {
      for (int i = 0; i < made; i++) {
        library.torchDeleteIValue(values[i]);
      }
    }
    try {
      NDList out = new NDList();
      collect(library, manager, result, out);
      return out;
    } finally {
      library.torchDeleteIValue(result);
    }
  }

  private static void collect(PyTorchLibrary library, PtNDManager manager, long value, NDList out) {
    if (library.iValueIsTensor(value)) {
      out.add(new PtNDArray(manager, library.iValueToTensor(value)));
    } else if (library.iValueIsTensorList(value)) {
      for (long tensor : library.iValueToTensorList(value)) {
        out.add(new PtNDArray(manager, tensor));
      }
    } else if (library.iValueIsTuple(value)) {
      for (long element : library.iValueToIValueTuple(value)) {
        try {
          collect(library, manager, element, out);
        } finally {
          library.torchDeleteIValue(element);
        }
      }
    }
  }

  private static long value(PyTorchLibrary library, Object argument) {
    if (argument instanceof NDArray array) {
      return library.iValueFromTensor(handle(array));
    } else if (argument instanceof Integer || argument instanceof Long) {
      return library.iValueFromLong(((Number) argument).longValue());
    } else if (argument instanceof Float || argument instanceof Double) {
      return library.iValueFromDouble(((Number) argument).doubleValue());
    } else if (argument instanceof Boolean flag) {
      return library.iValueFromBool(flag);
    } else if (argument instanceof String text) {
      return library.iValueFromString(text);
    } else if (argument instanceof long[] numbers) {
      return library.iValueFromLongList(numbers);
    } else if (argument instanceof double[] numbers) {
      return library.iValueFromDoubleList(numbers);
    } else if (argument instanceof List<?> list) {
      return library.iValueFromTensorList(
          list.stream().mapToLong(element -> handle((NDArray) element)).toArray());
    }
    throw new IllegalArgumentException(
        message(
            "Cannot pass an argument to TorchScript, because its type has no counterpart there: %s. Pass arrays, numbers, booleans, strings or lists of arrays.",
            argument == null ? "null" : argument.getClass().getName()));
  }

  private static long handle(NDArray array) {
    return ((PtNDArray) array).getHandle();
  }
}
