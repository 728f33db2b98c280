package io.github.kklip.store.shards;

import java.io.IOException;

/**
 * The content of a file is not what it must be. Reading it again gives the same; any other {@link
 * IOException} of a reader means that the storage failed, and says nothing about the content.
 */
public final class DamagedFileException extends IOException {
  private static final long serialVersionUID = 1L;

  DamagedFileException(String message, Throwable cause) {
    super(message, cause);
  }
}
