package io.github.kklip.ingest.sources;

import java.io.Closeable;
import java.io.IOException;

/** The members of one unit, one after the other; only the current one is in memory. */
public interface Members extends Closeable {
  /**
   * The next member; null after the last.
   *
   * @throws IOException when the file system fails, which says nothing about the data: the task
   *     fails and is tried again
   */
  Member next() throws IOException;

  /** Members that are in memory already. */
  static Members of(Member... members) {
    return new Members() {
      private int position;

      @Override
      public Member next() {
        return position < members.length ? members[position++] : null;
      }

      @Override
      public void close() {}
    };
  }
}
