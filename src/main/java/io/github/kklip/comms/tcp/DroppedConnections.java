package io.github.kklip.comms.tcp;

import java.net.SocketAddress;
import java.time.Duration;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.LongSupplier;
import java.util.stream.Collectors;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Counts the connections that a rank has dropped before it knew their secret, and tells of them in
 * one line now and then: whoever reaches the port must not be able to fill the log. The first one
 * is told at once, as it may be why the ranks do not meet.
 */
final class DroppedConnections {
  private static final Logger LOG = LoggerFactory.getLogger(DroppedConnections.class);

  /** Between two lines, but for the last one. */
  static final Duration INTERVAL = Duration.ofMinutes(1);

  /** Reasons that are told apart: they can hold text of the operating system. */
  private static final int REASONS = 8;

  private static final String OTHER = "of other reasons";

  private final int rank;
  private final LongSupplier clock;
  private final Map<String, Integer> reasons = new TreeMap<>();
  private SocketAddress last;
  private boolean told;
  private long toldAt;

  /**
   * @param rank whose port it is
   * @param clock as {@link System#nanoTime}
   */
  DroppedConnections(int rank, LongSupplier clock) {
    this.rank = rank;
    this.clock = clock;
  }

  /**
   * Counts one.
   *
   * @param from its other end
   * @param reason in the form of "it did not answer in time"
   */
  synchronized void add(SocketAddress from, String reason) {
    boolean known = reasons.containsKey(reason) || reasons.size() < REASONS;
    reasons.merge(known ? reason : OTHER, 1, Integer::sum);
    last = from;
    if (!told || clock.getAsLong() - toldAt >= INTERVAL.toNanos()) {
      tell();
    }
  }

  /** Tells of those that no line has told of; without any it says nothing. */
  synchronized void tell() {
    if (reasons.isEmpty()) {
      return;
    }
    LOG.warn(
        "Rank {} dropped {} connection(s), the last one from {}: {}. Let only the ranks of this job reach this port; see train.port.",
        rank,
        reasons.values().stream().mapToInt(Integer::intValue).sum(),
        last,
        reasons.entrySet().stream()
            .map(reason -> reason.getValue() + " because " + reason.getKey())
            .collect(Collectors.joining(", ")));
    reasons.clear();
    told = true;
    toldAt = clock.getAsLong();
  }
}
