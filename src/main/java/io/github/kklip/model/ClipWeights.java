package io.github.kklip.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.safetensors.SafetensorsWriter;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;

/**
 * A {@link ClipModel}'s weights as safetensors files: the model under Hugging Face's names in one
 * file, KKLIP's heads in another.
 */
public final class ClipWeights {
  /** The shape that some programs give the number {@code logit_scale}. */
  private static final List<Long> VECTOR_OF_ONE = List.of(1L);

  private ClipWeights() {}

  /** Whether a file of a model folder is one that a student begins with. */
  public static boolean isFile(String name) {
    return name.equals(ClipConfig.FILE) || Safetensors.isFile(name);
  }

  /**
   * Copies weights of any floating type over the model's parameters.
   *
   * @param sources Hugging Face CLIP folders or safetensors files; together they must have all
   *     tensors of the CLIPModel, while heads that are in none keep their values
   * @throws IOException when a file is missing or damaged, or a tensor has another shape
   * @throws IllegalArgumentException when tensors are missing
   */
  public static void load(ClipModel model, List<Path> sources) throws IOException {
    try (NDManager manager = Torch.manager()) {
      Map<String, NDArray> tensors = new HashMap<>();
      for (Path source : sources) {
        Safetensors file = Safetensors.open(source);
        Map<String, Shape> shapes = new TreeMap<>();
        model
            .parameters()
            .tensors()
            .forEach(
                (name, tensor) -> {
                  if (file.names().contains(name)) {
                    shapes.put(name, tensor.getShape());
                  }
                });
        boolean vector =
            shapes.containsKey(ClipModel.LOGIT_SCALE)
                && file.entry(ClipModel.LOGIT_SCALE).shape().equals(VECTOR_OF_ONE);
        if (vector) {
          shapes.put(ClipModel.LOGIT_SCALE, new Shape(1));
        }
        tensors.putAll(file.arrays(manager, shapes));
        if (vector) {
          NDArray scale = tensors.get(ClipModel.LOGIT_SCALE);
          tensors.put(ClipModel.LOGIT_SCALE, Torch.view(manager, scale, 0, new Shape()));
        }
      }
      model.load(tensors);
    }
  }

  /**
   * The CLIPModel in the type of its parameters, to be written while the model stays open and
   * unchanged.
   *
   * @see #heads
   */
  public static SafetensorsWriter model(ClipModel model) {
    return writer(model, false);
  }

  /** KKLIP's heads likewise; without tensors for plain CLIP. */
  public static SafetensorsWriter heads(ClipModel model) {
    return writer(model, true);
  }

  private static SafetensorsWriter writer(ClipModel model, boolean heads) {
    // Hugging Face's libraries refuse a file that does not name its framework.
    SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
    model
        .parameters()
        .tensors()
        .forEach(
            (name, tensor) -> {
              if (ClipModel.isHead(name) == heads) {
                writer.add(name, tensor, model.parameters().type());
              }
            });
    return writer;
  }
}
