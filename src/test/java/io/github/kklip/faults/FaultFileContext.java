package io.github.kklip.faults;

import java.io.IOException;
import java.net.URI;
import java.net.URISyntaxException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.DelegateToFileSystem;
import org.apache.hadoop.fs.Path;

/**
 * What {@code FileContext} asks. Hadoop's own delegation removes the target of a rename first and
 * then renames; here, as on HDFS, a rename replaces in one step.
 */
public final class FaultFileContext extends DelegateToFileSystem {
  /** Called by Hadoop, by reflection. */
  FaultFileContext(URI uri, Configuration configuration) throws IOException, URISyntaxException {
    super(uri, fileSystem(uri, configuration), configuration, uri.getScheme(), false);
  }

  private static FaultFileSystem fileSystem(URI uri, Configuration configuration)
      throws IOException {
    FaultFileSystem fileSystem = new FaultFileSystem();
    fileSystem.initialize(uri, configuration);
    return fileSystem;
  }

  @Override
  public void renameInternal(Path from, Path to, boolean overwrite) throws IOException {
    if (overwrite) {
      ((FaultFileSystem) fsImpl).replace(from, to);
    } else {
      renameInternal(from, to);
    }
  }
}
