package io.github.kklip.comms.memory;

import com.sun.jna.Native;
import com.sun.jna.Pointer;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.locks.LockSupport;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Sleep and wake-up between processes, on a word of memory that they share: Linux's futex (man 2
 * futex). Who sleeps takes no time from the ranks that work, and is woken within microseconds also
 * where there are more ranks than processors. Spinning and yielding do neither: each yield to a
 * foreign process that computes lasts a whole time slice. Where the system call cannot be made, a
 * sleep is a nap of {@value #NAP} ns.
 */
final class Futex {
  private static final Logger LOG = LoggerFactory.getLogger(Futex.class);
  private static final int WAIT = 0;
  private static final int WAKE = 1;
  private static final long NAP = 100_000;

  /** Number of the system call. */
  private static final Map<String, Long> CALLS = Map.of("amd64", 202L, "aarch64", 98L);

  private static final long CALL = find();

  private final ByteBuffer memory;
  private final Pointer word;

  /**
   * @param memory direct, mapped by all that wait and wake
   * @param offset of a word of 4 bytes, a multiple of 4
   */
  Futex(ByteBuffer memory, int offset) {
    this.memory = memory;
    this.word = CALL < 0 ? null : Native.getDirectBufferPointer(this.memory).share(offset);
  }

  /**
   * Sleeps if the word still has a value, until it is woken or the time is over; may return early.
   */
  void sleep(int value, Duration limit) {
    if (CALL < 0) {
      LockSupport.parkNanos(NAP);
    } else {
      long[] timespec = {limit.toSeconds(), limit.toNanosPart()};
      syscall(CALL, word, WAIT, value, timespec, null, 0);
    }
  }

  /** Wakes all that sleep on the word. */
  void wake() {
    if (CALL >= 0) {
      syscall(CALL, word, WAKE, Integer.MAX_VALUE, null, null, 0);
    }
  }

  private static long find() {
    Long call = CALLS.get(System.getProperty("os.arch"));
    if (call == null || !System.getProperty("os.name").equals("Linux")) {
      return -1;
    }
    try {
      Native.register(Futex.class, "c");
      // Sandboxes may forbid it: nobody is there to be woken, so that it must answer 0.
      ByteBuffer probe = ByteBuffer.allocateDirect(Long.BYTES);
      if (syscall(call, Native.getDirectBufferPointer(probe), WAKE, 1, null, null, 0) == 0) {
        return call;
      }
      LOG.info("Waits in shared memory are naps because the system refuses futexes.");
    } catch (LinkageError e) {
      LOG.info("Waits in shared memory are naps because of {}.", e.toString());
    }
    return -1;
  }

  private static native long syscall(
      long number, Pointer word, long operation, long value, long[] limit, Pointer none, long zero);
}
