package io.github.kklip.ingest.sources;

import java.io.IOException;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** Reads sources of one format. */
public interface SourceReader {
  /**
   * The pieces of one file that tasks read on their own. A file that cannot be cut, also because it
   * is damaged, is one piece, whose reading tells what is wrong.
   */
  List<Unit> plan(Configuration configuration, Unit file) throws IOException;

  /** Opens one piece. */
  Members open(Configuration configuration, Unit unit) throws IOException;
}
