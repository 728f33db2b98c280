package io.github.kklip.train.step;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.TrainSettings;
import io.github.kklip.model.ClipModel;
import io.github.kklip.tensor.FlatTensor.Range;
import java.util.ArrayList;
import java.util.List;

/**
 * Sums the flat gradient over all ranks, segment by segment while the backward pass goes on. Where
 * the optimizer is sharded, a rank gets the sums of its own shards only ({@link
 * SegmentRanges#shard}).
 */
final class GradientSum implements AutoCloseable {
  private record Exchanged(Range range, HostRange elements) {}

  private record Running(HostRange elements, Work pending) {}

  private final Collective collective;
  private final ElementType type;
  private final boolean scatter;
  private final List<List<Exchanged>> segments;
  private final List<Exchanged> tail;
  private final List<Running> running = new ArrayList<>();

  GradientSum(ClipModel model, Collective collective, TrainSettings settings) {
    this.collective = collective;
    scatter = settings.step().shardOptimizer();
    type = settings.step().compressGradients() ? ElementType.BFLOAT16 : model.parameters().type();
    SegmentRanges ranges = SegmentRanges.of(model);
    segments = ranges.segments().stream().map(segment -> exchanged(model, segment)).toList();
    tail = exchanged(model, ranges.tail());
  }

  private List<Exchanged> exchanged(ClipModel model, List<Range> ranges) {
    return collective.size() == 1
        ? List.of()
        : ranges.stream()
            .map(
                range ->
                    new Exchanged(
                        range,
                        new HostRange(model.parameters().gradient(), range, type, collective)))
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
      sum.elements.write();
    }
    running.clear();
  }

  private void start(List<Exchanged> ranges) {
    for (Exchanged of : ranges) {
      Work pending =
          scatter
              ? collective.reduceScatter(
                  of.elements.read(), type, SegmentRanges.shardSizes(of.range, collective.size()))
              : collective.allReduce(of.elements.read(), type);
      running.add(new Running(of.elements, pending));
    }
  }

  @Override
  public void close() {
    segments.forEach(ranges -> ranges.forEach(of -> of.elements.close()));
    tail.forEach(of -> of.elements.close());
  }
}
