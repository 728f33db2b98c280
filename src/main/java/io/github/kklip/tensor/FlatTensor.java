package io.github.kklip.tensor;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Parameters in one flat tensor and their gradients in another. Every parameter is a leaf that
 * views its place in the flat tensor, and autograd adds its gradient into the same place of the
 * flat gradient, so that the optimizer, the norm and the all-reduce each are one operator over one
 * tensor.
 *
 * <p>Order: the slots with weight decay, then those without; within each group by segment (a part
 * of the model whose gradients become final together in a staged backward pass), then as given.
 */
public final class FlatTensor implements AutoCloseable {
  /**
   * A parameter to be placed.
   *
   * @param name unique
   * @param parts names of equal parts along the first axis, in order; empty: the slot is one tensor
   *     under its own name
   * @param decay whether weight decay applies
   * @param segment number of its segment, from 0
   */
  public record Slot(String name, Shape shape, List<String> parts, boolean decay, int segment) {
    public Slot {
      parts = List.copyOf(parts);
      if (!parts.isEmpty() && shape.get(0) % parts.size() != 0) {
        throw new IllegalArgumentException(
            message(
                "Cannot divide the parameter %s of shape %s into %s equal parts.",
                name, shape, parts.size()));
      }
    }
  }

  /** A range of the flat tensor: the elements {@code [from, from + length)}. */
  public record Range(long from, long length) {}

  private final NDManager manager;
  private final ElementType type;
  private final List<Slot> slots;
  private final Map<String, Long> offsets = new LinkedHashMap<>();
  private final Map<String, NDArray> leaves = new LinkedHashMap<>();
  private final Map<String, NDArray> parts = new LinkedHashMap<>();
  private final NDArray data;
  private final long size;
  private final long decayed;
  private NDArray gradient;

  /**
   * Places the slots in a new tensor of zeros on the manager's device. Gradients come with {@link
   * #bindGradients}.
   */
  public FlatTensor(NDManager parent, List<Slot> given, ElementType type) {
    this.type = type;
    List<Slot> order = new ArrayList<>(given);
    // Stable: decay first, then by segment, then as given.
    order.sort(
        (a, b) ->
            a.decay() == b.decay()
                ? Integer.compare(a.segment(), b.segment())
                : a.decay() ? -1 : 1);
    slots = List.copyOf(order);
    long offset = 0;
    long decayedSoFar = 0;
    for (Slot slot : slots) {
      if (offsets.put(slot.name(), offset) != null) {
        throw new IllegalArgumentException(
            message("Cannot place a parameter twice: %s", slot.name()));
      }
      offset += slot.shape().size();
      decayedSoFar = slot.decay() ? offset : decayedSoFar;
    }
    size = offset;
    decayed = decayedSoFar;
    manager = parent.newSubManager();
    data = Torch.zeros(manager, new Shape(size), type);
    for (Slot slot : slots) {
      long at = offsets.get(slot.name());
      NDArray leaf = Torch.view(manager, data, at, slot.shape());
      leaf.setRequiresGradient(true);
      leaves.put(slot.name(), leaf);
      int count = Math.max(1, slot.parts().size());
      Shape shape = partShape(slot, count);
      for (int part = 0; part < count; part++) {
        String name = slot.parts().isEmpty() ? slot.name() : slot.parts().get(part);
        if (parts.put(name, Torch.view(manager, data, at + part * shape.size(), shape)) != null) {
          throw new IllegalArgumentException(message("Cannot place a parameter twice: %s", name));
        }
      }
    }
  }

  private static Shape partShape(Slot slot, int count) {
    long[] dimensions = slot.shape().getShape().clone();
    if (dimensions.length > 0) {
      dimensions[0] /= count;
    }
    return new Shape(dimensions);
  }

  /**
   * Makes the flat gradient (zeros) and puts every leaf's gradient into its place there, for good.
   */
  public void bindGradients() {
    if (gradient != null) {
      return;
    }
    gradient = Torch.zeros(manager, new Shape(size), type);
    try (Grad grad = Grad.on();
        NDManager scope = manager.newSubManager()) {
      for (Slot slot : slots) {
        long at = offsets.get(slot.name());
        NDArray leaf = leaves.get(slot.name());
        Shape flat = new Shape(slot.shape().size());
        // The gradient of a leaf that has none yet is taken over as it is: with this one, memory of
        // the flat gradient.
        try (NDArray reshaped =
                Torch.module("tensor/core").call(scope, "reshape", leaf, flat.getShape());
            NDArray place = Torch.view(scope, gradient, at, flat)) {
          grad.backward(reshaped, place);
        }
        try (NDArray bound = Grad.of(leaf)) {
          if (Torch.storageOffset(bound) != at || !bound.getShape().equals(slot.shape())) {
            throw new IllegalStateException(
                message(
                    "Cannot bind the gradient of %s to the flat gradient, because libtorch copied it.",
                    slot.name()));
          }
        }
      }
    }
  }

  /** All parameters in one tensor. */
  public NDArray data() {
    return data;
  }

  /** All gradients in one tensor, in the same order. */
  public NDArray gradient() {
    if (gradient == null) {
      throw new IllegalStateException(
          "Cannot give the flat gradient, because bindGradients was not called.");
    }
    return gradient;
  }

  /** The leaf of a slot, to compute with. */
  public NDArray leaf(String slot) {
    return find(leaves, slot);
  }

  /**
   * A named tensor (a slot, or a part of one) as a view without gradient, to read or write in
   * place.
   */
  public NDArray tensor(String name) {
    return find(parts, name);
  }

  /** Every named tensor (parts instead of their slots), in flat order. */
  public Map<String, NDArray> tensors() {
    return Collections.unmodifiableMap(parts);
  }

  /**
   * The part of the flat gradient that belongs to {@link #tensor(String)}: a new view, to be
   * closed.
   */
  public NDArray gradientOf(String name) {
    NDArray tensor = tensor(name);
    return Torch.view(manager, gradient(), Torch.storageOffset(tensor), tensor.getShape());
  }

  private static NDArray find(Map<String, NDArray> map, String name) {
    NDArray found = map.get(name);
    if (found == null) {
      throw new IllegalArgumentException(
          message("Cannot find the parameter %s among %s parameters.", name, map.size()));
    }
    return found;
  }

  /** The slots in flat order. */
  public List<Slot> slots() {
    return slots;
  }

  /** Number of elements. */
  public long size() {
    return size;
  }

  /** Number of elements with weight decay: the first ones. */
  public long decayed() {
    return decayed;
  }

  public ElementType type() {
    return type;
  }

  /**
   * Where the slots of a segment stand: at the most two ranges, one with weight decay and one
   * without.
   */
  public List<Range> segment(int segment) {
    List<Range> ranges = new ArrayList<>();
    for (Slot slot : slots) {
      if (slot.segment() == segment) {
        long at = offsets.get(slot.name());
        Range last = ranges.isEmpty() ? null : ranges.get(ranges.size() - 1);
        if (last != null && last.from() + last.length() == at) {
          ranges.set(
              ranges.size() - 1, new Range(last.from(), last.length() + slot.shape().size()));
        } else {
          ranges.add(new Range(at, slot.shape().size()));
        }
      }
    }
    return ranges;
  }

  /** Sets all gradients to zero, in place. */
  public void zeroGradients() {
    Torch.fill(gradient(), 0);
  }

  /** The manager that owns the tensors. */
  public NDManager manager() {
    return manager;
  }

  @Override
  public void close() {
    manager.close();
  }
}
