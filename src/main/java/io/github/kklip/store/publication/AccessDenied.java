package io.github.kklip.store.publication;

import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.ReadOnlyFileSystemException;
import org.apache.hadoop.security.AccessControlException;

/** Whether a file system refused a write because of who asks, and would again. */
public final class AccessDenied {
  private AccessDenied() {}

  /** Whether a failure or one of its causes says so. */
  public static boolean is(Throwable failure) {
    for (Throwable e = failure; e != null; e = e.getCause()) {
      String text = String.valueOf(e.getMessage());
      if (e instanceof AccessDeniedException
          || e instanceof AccessControlException
          || e instanceof ReadOnlyFileSystemException
          || (e instanceof FileSystemException && text.contains("Read-only file system"))
          // A FileNotFoundException of java.io, and what S3 answers to a client of its own.
          || text.contains("(Permission denied)")
          || text.contains("Status Code: 403")) {
        return true;
      }
    }
    return false;
  }
}
