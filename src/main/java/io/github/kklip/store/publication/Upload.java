package io.github.kklip.store.publication;

import java.io.IOException;
import java.io.InputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.StreamCapabilities;

/**
 * Fills a file of an object store, where closing the stream is what makes the file: one that could
 * not be written to its end must not be closed, or its beginning would be there for all.
 */
final class Upload {
  private Upload() {}

  /** Writes all bytes and closes the stream; after a failure there is no file. */
  static void write(InputStream in, FSDataOutputStream out) throws IOException {
    boolean whole = false;
    try {
      in.transferTo(out);
      whole = true;
    } finally {
      if (!whole && out.hasCapability(StreamCapabilities.ABORTABLE_STREAM)) {
        out.abort();
      }
    }
    out.close();
  }
}
