package io.github.kklip.comms.transport;

/** The ranks can no longer work together. */
public final class CollectiveException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final boolean secondary;

  private CollectiveException(String message, Throwable cause, boolean secondary) {
    super(message, cause);
    this.secondary = secondary;
  }

  /** A failure seen here first. */
  public static CollectiveException primary(String message, Throwable cause) {
    return new CollectiveException(message, cause, false);
  }

  /** The consequence of a failure elsewhere, which the message names. */
  public static CollectiveException secondary(String message, Throwable cause) {
    return new CollectiveException(message, cause, true);
  }

  /** Whether this is only the consequence of a failure of another rank. */
  public boolean isSecondary() {
    return secondary;
  }
}
