package io.github.kklip.text;

/** A tokenizer that cannot be loaded or does not fit its model; the message says what to do. */
public final class TokenizerException extends RuntimeException {
  private static final long serialVersionUID = 1;

  TokenizerException(String message) {
    super(message);
  }

  TokenizerException(String message, Throwable cause) {
    super(message, cause);
  }
}
