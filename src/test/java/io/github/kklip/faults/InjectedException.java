package io.github.kklip.faults;

import java.io.IOException;

/** An error of a {@link FaultStore} that a test asked for. */
public final class InjectedException extends IOException {
  private static final long serialVersionUID = 1L;

  InjectedException(String message) {
    super(message);
  }
}
