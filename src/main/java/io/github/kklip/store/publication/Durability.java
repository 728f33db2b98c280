package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.StandardOpenOption;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.StreamCapabilities;

/**
 * Puts what was written onto the disks, so that it is there after a loss of power. What points at a
 * file moves only when the file, and the folder that names it, are there.
 */
public final class Durability {
  private Durability() {}

  /**
   * The stream's bytes are on the disks when this returns. Object stores have no such call, and
   * need none: a file of theirs is there, and durable, when its stream is closed.
   */
  public static void sync(FSDataOutputStream out) throws IOException {
    if (out.hasCapability(StreamCapabilities.HSYNC)) {
      out.hsync();
    }
  }

  /**
   * The names in a folder are on the disks when this returns. Only local disks need it: elsewhere a
   * name is durable when the call that makes it returns.
   */
  public static void syncFolder(Configuration configuration, Path folder) throws IOException {
    if (Storage.isLocal(configuration, folder)) {
      try (FileChannel names =
          FileChannel.open(
              java.nio.file.Path.of(folder.toUri().getPath()), StandardOpenOption.READ)) {
        names.force(true);
      }
    }
  }

  /** Makes a folder, and those above it that are missing, and syncs the names of what it made. */
  public static void makeFolder(Configuration configuration, Path folder) throws IOException {
    FileSystem fileSystem = Storage.of(configuration, folder);
    if (fileSystem.exists(folder)) {
      return;
    }
    Path above = folder.getParent();
    if (above != null) {
      makeFolder(configuration, above);
    }
    if (!fileSystem.mkdirs(folder)) {
      throw new IOException(
          message("Cannot make the folder %s. Check that this user may write there.", folder));
    }
    if (above != null) {
      syncFolder(configuration, above);
    }
  }
}
