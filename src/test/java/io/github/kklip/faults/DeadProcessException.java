package io.github.kklip.faults;

import java.io.IOException;

/**
 * The process that asks is dead by {@link Fault.Kind#CRASH}: nothing that it does has an effect.
 */
public final class DeadProcessException extends IOException {
  private static final long serialVersionUID = 1L;

  DeadProcessException(String message) {
    super(message);
  }
}
