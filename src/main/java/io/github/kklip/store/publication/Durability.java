package io.github.kklip.store.publication;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.StandardOpenOption;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.StreamCapabilities;

/**
 * What a power failure must not take: bytes of a file and its name. Nothing names a file before
 * both are on the disk.
 */
public final class Durability {
  private Durability() {}

  /** Brings to the disk what was written so far, where the file system can. */
  public static void sync(FSDataOutputStream out) throws IOException {
    if (out.hasCapability(StreamCapabilities.HSYNC)) {
      out.hsync();
    } else {
      out.flush();
    }
  }

  /**
   * Brings the names in a folder to the disk. Only local folders need it: HDFS keeps a journal, and
   * object stores have no folders.
   */
  public static void syncFolder(Configuration configuration, Path folder) throws IOException {
    if (!Storage.isLocal(configuration, folder)) {
      return;
    }
    java.nio.file.Path local = java.nio.file.Path.of(folder.toUri().getPath());
    if (!local.getFileSystem().supportedFileAttributeViews().contains("posix")) {
      return; // Windows opens no folders.
    }
    try (FileChannel channel = FileChannel.open(local, StandardOpenOption.READ)) {
      channel.force(true);
    }
  }
}
