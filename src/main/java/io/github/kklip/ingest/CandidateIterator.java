package io.github.kklip.ingest;

import static io.github.kklip.config.Message.message;

import io.github.kklip.ingest.sources.Member;
import io.github.kklip.ingest.sources.Members;
import io.github.kklip.ingest.sources.Note;
import io.github.kklip.ingest.sources.Unit;
import io.github.kklip.tasks.TaskCounts;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.EnumMap;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.NoSuchElementException;
import scala.Tuple2;

/**
 * The candidates of one unit as bytes under their keys, read as they are asked for. A key is the
 * sort key, then the order in the sources: unit and position. Of two candidates with the same sort
 * key the one that comes first in the sources is kept.
 */
final class CandidateIterator implements Iterator<Tuple2<String, byte[]>> {
  private final Members members;
  private final TaskCounts counts;
  private final Screening screening;
  private final Unit unit;
  private final long number;
  private final SplitRule splits;
  private final long shuffleSeed;
  private final Deque<Candidate> ready = new ArrayDeque<>();
  private long position;

  /** What is counted beside candidates: a unit may have millions, and tells their number once. */
  private final Map<Note, Long> noted = new EnumMap<>(Note.class);

  private boolean ended;

  CandidateIterator(
      Members members,
      TaskCounts counts,
      Screening screening,
      Unit unit,
      long number,
      SplitRule splits,
      long shuffleSeed) {
    this.members = members;
    this.counts = counts;
    this.screening = screening;
    this.unit = unit;
    this.number = number;
    this.splits = splits;
    this.shuffleSeed = shuffleSeed;
  }

  /** The number of the unit that a key comes from. */
  static int unit(String key) {
    int start = key.indexOf('#') + 1;
    return Integer.parseInt(key, start, start + 10, 10);
  }

  @Override
  public boolean hasNext() {
    while (ready.isEmpty() && !ended) {
      Member member;
      try {
        member = members.next();
      } catch (IOException e) {
        throw new UncheckedIOException(message("Cannot read %s", unit.path()), e);
      }
      if (member == null) {
        ended = true;
        finish();
        counts.done(1);
        noted.forEach((note, count) -> ready.add(new Candidate.Noted(note, count)));
      } else {
        member.notes().forEach((note, count) -> noted.merge(note, (long) count, Long::sum));
        List<Candidate> found = screening.screen(unit.path(), member);
        found.forEach(this::count);
        ready.addAll(found);
      }
    }
    return !ready.isEmpty();
  }

  private void count(Candidate candidate) {
    if (!(candidate instanceof Candidate.Noted)) {
      counts.items(1, candidate instanceof Candidate.Rejected ? 1 : 0);
    }
  }

  private void finish() {
    try {
      screening.finish();
    } catch (IOException e) {
      throw new UncheckedIOException(message("Cannot keep what was found in %s", unit.path()), e);
    }
  }

  @Override
  public Tuple2<String, byte[]> next() {
    if (!hasNext()) {
      throw new NoSuchElementException();
    }
    Candidate candidate = ready.remove();
    String order = String.format(Locale.ROOT, "%010d-%010d", number, position++);
    String key =
        candidate instanceof Candidate.Accepted accepted
            ? rowKey(accepted)
            : Layout.rejectKey(order, shuffleSeed);
    return new Tuple2<>(key + "#" + order, candidate.encode());
  }

  private String rowKey(Candidate.Accepted accepted) {
    return Layout.rowKey(splits.of(accepted.pair().imageId()), accepted.pair(), shuffleSeed);
  }
}
