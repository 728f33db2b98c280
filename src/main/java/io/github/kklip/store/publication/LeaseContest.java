package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.ThreadLocalRandom;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * How a job gets a folder. It writes a claim and lists all claims; of two that do so, the one that
 * wrote later sees the other, so never do both see themselves alone. Who sees another one withdraws
 * and tries again after a random time.
 *
 * <p>A claim of before is in the way until it is known to be given up: its process is gone, or it
 * was watched for its expiry without a new heartbeat. Its holder counts its expiry from before it
 * wrote that heartbeat, so it has given up by then, whatever the clocks of the hosts say.
 */
final class LeaseContest {
  private static final Logger LOG = LoggerFactory.getLogger(LeaseContest.class);

  /** Meetings after which one gives up; each doubles the time that they spread over. */
  private static final int MEETINGS = 12;

  private static final int LONGEST_SPREAD = 6;
  private static final Duration SHORTEST_ROUND = Duration.ofMillis(5);
  private static final long LEAST_POLL_MILLIS = 20;
  private static final long MOST_POLL_MILLIS = 2000;
  private static final int POLLS_AN_EXPIRY = 100;

  /** What is known of another claim. */
  private enum State {
    /** It is given up. */
    GONE,
    /** It is seen to live. */
    LIVE,
    /** Not yet known. */
    WATCHED
  }

  /** Since when a claim is seen with a heartbeat, and whether it had another one before. */
  private record Watch(long heartbeat, long since, boolean moved) {}

  private final Path folder;
  private final LeaseClaims claims;
  private final LeaseHost host;
  private final Takeover takeover;
  private final Map<String, Watch> watches = new HashMap<>();
  private int meetings;

  LeaseContest(Path folder, LeaseClaims claims, LeaseHost host, Takeover takeover) {
    this.folder = folder;
    this.claims = claims;
    this.host = host;
    this.takeover = takeover;
  }

  /** The others at one moment. */
  private record View(Map<LeaseClaim, State> others) {
    private Optional<LeaseClaim> any(State state) {
      // Who has the folder says more than who asks for it.
      Optional<LeaseClaim> holder = of(state).stream().filter(LeaseClaim::holds).findFirst();
      return holder.isPresent() ? holder : of(state).stream().findFirst();
    }

    private List<LeaseClaim> of(State state) {
      List<LeaseClaim> claims = new ArrayList<>();
      others.forEach(
          (claim, its) -> {
            if (its == state) {
              claims.add(claim);
            }
          });
      return claims;
    }
  }

  /**
   * A claim that has won.
   *
   * @param begun when it began to be written, by the clock of its process
   */
  record Won(LeaseClaim claim, long begun) {}

  /**
   * The claim that has won: no other one will win beside it before its expiry.
   *
   * @throws LeaseHeldException when another one is seen to live
   */
  Won win(String job, Duration expiry) throws IOException {
    String since = host.now().toString();
    while (true) {
      View view = look("");
      Optional<LeaseClaim> live = view.any(State.LIVE);
      if (live.isPresent()) {
        meet(live.get(), SHORTEST_ROUND);
        continue;
      }
      if (view.any(State.WATCHED).isPresent()) {
        host.sleep(poll(view));
        continue;
      }
      List<LeaseClaim> gone = view.of(State.GONE);
      if (!gone.isEmpty() && takeover == Takeover.NEVER) {
        throw mayStillLive(gone.get(0));
      }
      LeaseClaim mine =
          new LeaseClaim(
              UUID.randomUUID().toString(),
              job,
              host.name(),
              host.processes(),
              host.pid(),
              since,
              expiry.toMillis(),
              0,
              host.uptime().orElse(-1),
              gone.stream().map(LeaseClaim::token).toList());
      long begun = host.nanos();
      Optional<LeaseClaim> other;
      try {
        claims.write(mine);
        other = other(mine, gone);
        if (other.isEmpty()) {
          takeAway(gone);
          return new Won(mine, begun);
        }
        claims.remove(mine.token(), Long.MAX_VALUE);
      } catch (IOException | RuntimeException e) {
        withdraw(mine, e);
        throw e;
      }
      Duration round = Duration.ofNanos(host.nanos() - begun);
      meet(other.get(), round.compareTo(SHORTEST_ROUND) < 0 ? SHORTEST_ROUND : round);
    }
  }

  /** Another claim than those that are taken over, or one of these that has beaten since. */
  private Optional<LeaseClaim> other(LeaseClaim mine, List<LeaseClaim> gone) throws IOException {
    View view = look(mine.token());
    List<LeaseClaim> others = new ArrayList<>(view.others.keySet());
    others.removeIf(
        claim ->
            gone.stream()
                .anyMatch(
                    one ->
                        one.token().equals(claim.token()) && one.heartbeat() == claim.heartbeat()));
    return others.stream()
        .filter(LeaseClaim::holds)
        .findFirst()
        .or(() -> others.stream().findFirst());
  }

  private void withdraw(LeaseClaim mine, Exception failure) {
    try {
      claims.remove(mine.token(), Long.MAX_VALUE);
    } catch (IOException | RuntimeException e) {
      // It expires.
      failure.addSuppressed(e);
    }
  }

  private void takeAway(List<LeaseClaim> gone) throws IOException {
    for (LeaseClaim claim : gone) {
      LOG.warn(
          "Taking over {} from {}, {}",
          folder,
          claim.words(),
          claim.hasDied(host) ? "which has died" : "whose lease has expired");
      claims.remove(claim.token(), Long.MAX_VALUE);
    }
  }

  /** Refuses where the other has the folder or comes in between too often, else waits. */
  private void meet(LeaseClaim other, Duration round) throws IOException {
    if (other.holds() || ++meetings > MEETINGS) {
      throw held(other);
    }
    long spread = round.toNanos() << Math.min(meetings, LONGEST_SPREAD);
    host.sleep(Duration.ofNanos(ThreadLocalRandom.current().nextLong(spread)));
  }

  private View look(String mine) throws IOException {
    long before = host.nanos();
    Map<String, LeaseClaim> listed = claims.list();
    long after = host.nanos();
    watches.keySet().retainAll(listed.keySet());
    Map<LeaseClaim, State> others = new HashMap<>();
    listed.forEach(
        (token, claim) -> {
          if (token.equals(mine)) {
            return;
          }
          Watch watch = watches.get(token);
          if (watch == null || watch.heartbeat != claim.heartbeat()) {
            watch = new Watch(claim.heartbeat(), after, watch != null);
            watches.put(token, watch);
          }
          others.put(claim, state(claim, watch, before));
        });
    return new View(others);
  }

  private State state(LeaseClaim claim, Watch watch, long now) {
    if (claim.hasDied(host)) {
      return State.GONE;
    }
    if (now - watch.since >= Duration.ofMillis(claim.expiry()).toNanos()) {
      return State.GONE;
    }
    return watch.moved || claim.isFresh(host) ? State.LIVE : State.WATCHED;
  }

  private static Duration poll(View view) {
    long shortest =
        view.of(State.WATCHED).stream().mapToLong(LeaseClaim::expiry).min().orElseThrow();
    return Duration.ofMillis(
        Math.min(MOST_POLL_MILLIS, Math.max(LEAST_POLL_MILLIS, shortest / POLLS_AN_EXPIRY)));
  }

  private LeaseHeldException held(LeaseClaim holder) {
    return new LeaseHeldException(
        message(
            "Cannot write to %s because %s is writing to it. Wait for its end; if it died, its lease expires after %s.",
            folder, holder.words(), Duration.ofMillis(holder.expiry())));
  }

  private LeaseHeldException mayStillLive(LeaseClaim holder) {
    return new LeaseHeldException(
        message(
            "Cannot write to %s because %s has not given it back: it died, or it stands and may go on, and this store has no conditional create, so that both would overwrite each other's files. Once it is certain that the job is gone, remove %s and run again.",
            folder, holder.words(), claims.file(holder)));
  }
}
