package io.github.kklip.train.step;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.config.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Small sums of a step over all ranks, the same bits on each.
 *
 * @param losses the terms of the loss over the global batch, and their weighted sum, by name
 * @param signals what the ranks told
 */
public record StepSums(SortedMap<String, Double> losses, StepSignals signals) {
  /** On their way. */
  static final class Pending {
    private final List<String> names;
    private final ByteBuffer buffer;
    private final Work work;

    /** Starts to sum this rank's shares of the losses and its signals. */
    Pending(Collective collective, Map<String, Double> losses, StepSignals signals) {
      names = List.copyOf(losses.keySet());
      buffer =
          ByteBuffer.allocateDirect((names.size() + StepSignals.COUNT) * Double.BYTES)
              .order(ByteOrder.nativeOrder());
      losses.values().forEach(buffer::putDouble);
      signals.put(buffer);
      work = collective.allReduce(buffer.flip(), ElementType.FLOAT64);
    }

    StepSums await() {
      work.await();
      buffer.rewind();
      SortedMap<String, Double> losses = new TreeMap<>();
      names.forEach(name -> losses.put(name, buffer.getDouble()));
      return new StepSums(losses, StepSignals.get(buffer));
    }
  }
}
