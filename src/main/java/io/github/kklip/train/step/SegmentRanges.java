package io.github.kklip.train.step;

import io.github.kklip.comms.transport.Parts;
import io.github.kklip.model.ClipModel;
import io.github.kklip.tensor.FlatTensor;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;

/**
 * The flat tensors in stretches that ranks exchange in one operation. The elements with weight
 * decay, nearly all, are exchanged segment by segment; those without stand together at the end and
 * are exchanged in one piece, for they are few and every operation has its latency.
 *
 * @param segments the stretches of each segment of the model
 * @param tail the stretches without weight decay
 */
record SegmentRanges(List<List<Stretch>> segments, List<Stretch> tail) {
  /** Elements of one stretch at the most, so that its bytes fit a buffer. */
  private static final int LARGEST = 1 << 28;

  /** Elements {@code [from, from + length)} of the flat tensors, and each rank's part of them. */
  record Stretch(long from, int length) {
    int[] counts(int ranks) {
      return Parts.evenCounts(length, ranks);
    }

    /** The part of one rank when the work on the stretch is divided. */
    Stretch part(int rank, int ranks) {
      int[] counts = counts(ranks);
      return new Stretch(from + Arrays.stream(counts, 0, rank).sum(), counts[rank]);
    }
  }

  static SegmentRanges of(ClipModel model) {
    FlatTensor parameters = model.parameters();
    List<List<Stretch>> segments = new ArrayList<>();
    for (int segment = 0; segment < model.segments(); segment++) {
      List<Stretch> stretches = new ArrayList<>();
      for (FlatTensor.Range range : parameters.segment(segment)) {
        cut(stretches, range.from(), Math.min(range.length(), parameters.decayed() - range.from()));
      }
      segments.add(List.copyOf(stretches));
    }
    List<Stretch> tail = new ArrayList<>();
    cut(tail, parameters.decayed(), parameters.size() - parameters.decayed());
    return new SegmentRanges(List.copyOf(segments), List.copyOf(tail));
  }

  private static void cut(List<Stretch> stretches, long from, long length) {
    for (long done = 0; done < length; done += LARGEST) {
      stretches.add(new Stretch(from + done, (int) Math.min(LARGEST, length - done)));
    }
  }

  /** All stretches: every element is in one of them. */
  List<Stretch> all() {
    return Stream.concat(segments.stream().flatMap(List::stream), tail.stream()).toList();
  }
}
