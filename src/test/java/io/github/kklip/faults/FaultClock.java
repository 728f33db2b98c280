package io.github.kklip.faults;

import java.time.Duration;

/** The time of a {@link FaultStore}. */
public interface FaultClock {
  /** Monotonic. */
  long nanos();

  void sleep(Duration duration);

  /** Of the machine: real waits. */
  FaultClock REAL =
      new FaultClock() {
        @Override
        public long nanos() {
          return System.nanoTime();
        }

        @Override
        public void sleep(Duration duration) {
          try {
            Thread.sleep(duration.toMillis(), duration.toNanosPart() % 1_000_000);
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
          }
        }
      };
}
