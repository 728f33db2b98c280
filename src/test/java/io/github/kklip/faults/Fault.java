package io.github.kklip.faults;

import java.time.Duration;
import java.util.SplittableRandom;

/**
 * What goes wrong at one operation. Its text is what a test prints, so that a failure can be
 * repeated.
 *
 * @param client whose operations are counted; empty: those of all
 * @param under only operations on what is under this folder of the store are counted; empty: all
 * @param at number of the operation, from 1
 * @param done whether the operation takes effect before the fault, as when only its answer is lost
 * @param pause how long all of the client's threads stand; zero: until {@link FaultStore#release}
 */
public record Fault(Kind kind, String client, String under, long at, boolean done, Duration pause) {
  /** What happens. */
  public enum Kind {
    /**
     * The process is dead: every operation fails with {@link DeadProcessException} until {@link
     * FaultStore#restart}.
     */
    CRASH,
    /** One {@link InjectedException}. */
    IO_EXCEPTION,
    /** The same as Hadoop's {@code FSError}, which is no exception. */
    FS_ERROR,
    /** No byte can be written until bytes are deleted or the store restarts. */
    NO_SPACE,
    /** The process stands still, as after SIGSTOP. */
    PAUSE
  }

  /** A fault at the k-th operation of all clients; the seed says whether that takes effect. */
  public static Fault at(Kind kind, long k, long seed) {
    boolean done = new SplittableRandom(seed * 31 + k).nextBoolean();
    return new Fault(kind, "", k, done, Duration.ZERO);
  }

  /** A fault at one of all operations of a client. */
  public Fault(Kind kind, String client, long at, boolean done, Duration pause) {
    this(kind, client, "", at, done, pause);
  }

  /** Whether an operation on that path is counted. */
  boolean counts(String path) {
    return under.isEmpty() || path.startsWith(under + "/") || path.equals(under);
  }

  /** The same at the k-th operation of one client. */
  public Fault of(String someClient) {
    return new Fault(kind, someClient, under, at, done, pause);
  }

  /** The same with a pause that ends by itself. */
  public Fault lasting(Duration duration) {
    return new Fault(kind, client, under, at, done, duration);
  }
}
