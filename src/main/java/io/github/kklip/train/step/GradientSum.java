package io.github.kklip.train.step;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.comms.transport.ElementType;
import io.github.kklip.config.Settings;
import io.github.kklip.model.ClipModel;
import java.util.ArrayList;
import java.util.List;

/**
 * Sums the flat gradient over all ranks, segment by segment while the backward pass goes on. Where
 * the optimizer is sharded, a rank gets the sums of its own parts only ({@link
 * SegmentRanges.Stretch#part}).
 */
final class GradientSum implements AutoCloseable {
  private record Part(SegmentRanges.Stretch stretch, HostRange range) {}

  private record Running(HostRange range, Work pending) {}

  private final Collective collective;
  private final ElementType type;
  private final boolean scatter;
  private final List<List<Part>> segments;
  private final List<Part> tail;
  private final List<Running> running = new ArrayList<>();

  GradientSum(ClipModel model, Collective collective, Settings.Train settings) {
    this.collective = collective;
    scatter = settings.shardOptimizer();
    type =
        settings.compressGradients()
            ? ElementType.BFLOAT16
            : ElementType.valueOf(model.parameters().type().name());
    SegmentRanges ranges = SegmentRanges.of(model);
    segments =
        collective.size() == 1
            ? ranges.segments().stream().map(s -> List.<Part>of()).toList()
            : ranges.segments().stream().map(s -> parts(model, s)).toList();
    tail = collective.size() == 1 ? List.of() : parts(model, ranges.tail());
  }

  private List<Part> parts(ClipModel model, List<SegmentRanges.Stretch> stretches) {
    return stretches.stream()
        .map(s -> new Part(s, HostRange.of(model.parameters().gradient(), s, type, collective)))
        .toList();
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

  private void start(List<Part> parts) {
    for (Part part : parts) {
      Work pending =
          scatter
              ? collective.reduceScatter(
                  part.range.read(), type, part.stretch.counts(collective.size()))
              : collective.allReduce(part.range.read(), type);
      running.add(new Running(part.range, pending));
    }
  }

  @Override
  public void close() {
    segments.forEach(parts -> parts.forEach(part -> part.range.close()));
    tail.forEach(part -> part.range.close());
  }
}
