package io.github.kklip.train.step;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.model.ClipModel;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.FlatTensor.Range;
import io.github.kklip.tensor.Torch;
import java.nio.ByteBuffer;
import java.util.List;

/**
 * What this rank's optimizer updates: its shard of every range of the parameters where the
 * optimizer is sharded, else all of them. Its moments hold these elements one after the other.
 */
final class OptimizerShards {
  private final FlatTensor parameters;
  private final Collective collective;
  private final boolean sharded;
  private final List<Range> ranges;

  OptimizerShards(ClipModel model, Collective collective, boolean sharded) {
    parameters = model.parameters();
    this.collective = collective;
    this.sharded = sharded;
    ranges = SegmentRanges.of(model).all();
  }

  /** Whether ranks hold different shards. */
  boolean sharded() {
    return sharded;
  }

  /** The ranges of all parameters. */
  List<Range> ranges() {
    return ranges;
  }

  /** What this rank updates of each range. */
  List<Range> own() {
    return ranges.stream().map(this::own).toList();
  }

  private Range own(Range range) {
    return sharded ? SegmentRanges.shard(range, collective.rank(), collective.size()) : range;
  }

  /** Gives every rank the whole range, of which each has filled its shard. */
  Work gather(ByteBuffer range, int index) {
    return collective.allGather(
        range, parameters.type(), SegmentRanges.shardSizes(ranges.get(index), collective.size()));
  }

  /** Copies this rank's elements of a moment to their places in a flat tensor of all parameters. */
  void spread(NDArray moment, NDArray whole) {
    for (int index = 0; index < ranges.size(); index++) {
      Range own = own(ranges.get(index));
      copy(whole, own.from(), moment, place(index), own.length());
    }
  }

  /** Copies this rank's elements of a range from a moment to their places in the range. */
  void copyFrom(NDArray moment, int index, NDArray range) {
    Range own = own(ranges.get(index));
    copy(range, own.from() - ranges.get(index).from(), moment, place(index), own.length());
  }

  /** Copies this rank's elements of a range to their places in a moment. */
  void copyTo(NDArray moment, int index, NDArray range) {
    Range own = own(ranges.get(index));
    copy(moment, place(index), range, own.from() - ranges.get(index).from(), own.length());
  }

  /** Where a moment holds this rank's elements of a range. */
  private long place(int index) {
    return sharded
        ? ranges.stream().limit(index).mapToLong(range -> own(range).length()).sum()
        : ranges.get(index).from();
  }

  private static void copy(NDArray target, long to, NDArray source, long from, long length) {
    try (NDManager scope = Torch.manager()) {
      Torch.copy(
          Torch.view(scope, target, to, new Shape(length)),
          Torch.view(scope, source, from, new Shape(length)));
    }
  }

  /** A range of a flat tensor; without one, memory to receive the range in. */
  NDArray view(NDManager scope, NDArray whole, int index) {
    Range range = ranges.get(index);
    return whole == null
        ? zeros(scope, range.length())
        : Torch.view(scope, whole, range.from(), new Shape(range.length()));
  }

  NDArray zeros(NDManager manager, long elements) {
    return Torch.zeros(manager, new Shape(elements), parameters.type());
  }
}
