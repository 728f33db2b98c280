package io.github.kklip.config;

/**
 * A setting, or a combination of settings, that cannot be used; the message says which, why, and
 * what is allowed.
 */
public class SettingsException extends IllegalArgumentException {
  private static final long serialVersionUID = 1L;

  public SettingsException(String message) {
    super(message);
  }

  public SettingsException(String message, Throwable cause) {
    super(message, cause);
  }
}
