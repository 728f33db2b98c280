package io.github.kklip.store.publication;

import java.io.IOException;

/** Another job holds the lease of a folder; the message names it. */
public final class LeaseHeldException extends IOException {
  private static final long serialVersionUID = 1L;

  LeaseHeldException(String message) {
    super(message);
  }
}
