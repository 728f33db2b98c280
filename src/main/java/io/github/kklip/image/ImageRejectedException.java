package io.github.kklip.image;

import static io.github.kklip.config.Message.message;

/**
 * The bytes are not an image that training can use. Checked, since it is an expected outcome that
 * the caller counts: its reason and detail are the columns of the same names in the rejects.
 */
public final class ImageRejectedException extends Exception {
  private static final long serialVersionUID = 1L;

  /** Not an image of a known format, or one whose content is broken. */
  public static final String UNDECODABLE = "image-undecodable";

  /** More pixels than the limit, or more than memory holds. */
  public static final String TOO_LARGE = "image-too-large";

  /** The data ends before the image does. */
  public static final String TRUNCATED = "image-truncated";

  /** A format, or a variant of one, that is known and not decoded. */
  public static final String UNSUPPORTED = "image-unsupported";

  private final String reason;
  private final String detail;

  ImageRejectedException(String reason, String detail) {
    this(reason, detail, null);
  }

  ImageRejectedException(String reason, String detail, Throwable cause) {
    super(message("Cannot decode an image (%s) because %s.", reason, detail), cause);
    this.reason = reason;
    this.detail = detail;
  }

  /** One of the constants of this class: a stable key to count by. */
  public String reason() {
    return reason;
  }

  /** What was found, for a person to read. */
  public String detail() {
    return detail;
  }
}
