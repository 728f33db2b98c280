package io.github.kklip.train.step;

import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.model.ClipModel;
import io.github.kklip.tensor.FlatTensor;
import io.github.kklip.tensor.FlatTensor.Range;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * The flat tensors in ranges that ranks exchange in one operation. The elements with weight decay,
 * nearly all, are exchanged segment by segment; those without stand together at the end and are
 * exchanged at once, for they are few and every operation has its latency.
 *
 * @param segments the ranges of each segment of the model
 * @param tail the ranges without weight decay
 */
record SegmentRanges(List<List<Range>> segments, List<Range> tail) {
  /** Elements of one range at the most, so that its bytes fit a buffer. */
  private static final int LARGEST = 1 << 28;

  static SegmentRanges of(ClipModel model) {
    FlatTensor parameters = model.parameters();
    List<List<Range>> segments = new ArrayList<>();
    for (int segment = 0; segment < model.segments(); segment++) {
      List<Range> ranges = new ArrayList<>();
      for (Range range : parameters.segment(segment)) {
        cut(ranges, range.from(), Math.min(range.length(), parameters.decayed() - range.from()));
      }
      segments.add(List.copyOf(ranges));
    }
    List<Range> tail = new ArrayList<>();
    cut(tail, parameters.decayed(), parameters.size() - parameters.decayed());
    return new SegmentRanges(List.copyOf(segments), List.copyOf(tail));
  }

  private static void cut(List<Range> ranges, long from, long length) {
    for (long done = 0; done < length; done += LARGEST) {
      ranges.add(new Range(from + done, Math.min(LARGEST, length - done)));
    }
  }

  /** All ranges: every element is in one of them. */
  List<Range> all() {
    return Stream.concat(segments.stream().flatMap(List::stream), tail.stream()).toList();
  }

  /** Elements of each rank's shard of a range. */
  static int[] shardSizes(Range range, int ranks) {
    return RankShards.evenCounts((int) range.length(), ranks);
  }

  /** One rank's shard of a range. */
  static Range shard(Range range, int rank, int ranks) {
    int[] sizes = shardSizes(range, ranks);
    return new Range(range.from() + RankShards.start(sizes, rank), sizes[rank]);
  }
}
