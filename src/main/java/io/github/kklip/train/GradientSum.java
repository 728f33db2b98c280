package io.github.kklip.train;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.ElementType;
import io.github.kklip.comms.Pending;
import io.github.kklip.model.ClipModel;
import io.github.kklip.tensor.FlatTensor;
import java.util.ArrayList;
import java.util.List;

/**
 * Sums the flat gradient over all ranks, segment by segment while the backward pass goes on. The
 * elements with weight decay, nearly all, are summed with their segment; those without stand
 * together at the end of the flat gradient and are summed in one piece when all is done, for they
 * are few and every operation has its latency.
 */
final class GradientSum implements AutoCloseable {
  private record Running(HostRange range, Pending pending) {}

  private final Collective collective;
  private final List<List<HostRange>> segments = new ArrayList<>();
  private final List<HostRange> tail;
  private final List<Running> running = new ArrayList<>();

  GradientSum(ClipModel model, Collective collective) {
    this.collective = collective;
    FlatTensor parameters = model.parameters();
    for (int segment = 0; segment < model.segments(); segment++) {
      List<HostRange> ranges = new ArrayList<>();
      for (FlatTensor.Range range : parameters.segment(segment)) {
        long length = Math.min(range.length(), parameters.decayed() - range.from());
        if (length > 0) {
          ranges.addAll(HostRange.of(parameters.gradient(), range.from(), length));
        }
      }
      segments.add(ranges);
    }
    tail =
        HostRange.of(
            parameters.gradient(), parameters.decayed(), parameters.size() - parameters.decayed());
  }

  /** The segment's gradient is final on this rank. */
  void segment(int segment) {
    start(segments.get(segment));
  }

  /** All segments were started: sums the rest and waits until the flat gradient is the sum. */
  void finish() {
    start(tail);
    for (Running sum : running) {
      sum.pending.await();
      sum.range.write();
    }
    running.clear();
  }

  private void start(List<HostRange> ranges) {
    if (collective.size() > 1) {
      for (HostRange range : ranges) {
        running.add(new Running(range, collective.allReduce(range.read(), ElementType.FLOAT32)));
      }
    }
  }

  @Override
  public void close() {
    segments.forEach(ranges -> ranges.forEach(HostRange::close));
    tail.forEach(HostRange::close);
  }
}
