package io.github.kklip.store.publication;

import java.io.Closeable;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.file.DirectoryStream;
import java.nio.file.FileVisitResult;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.SimpleFileVisitor;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.UserPrincipal;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A folder on this machine's disks for as long as a process needs it: {@code
 * TMPDIR/kklip-PURPOSE-RANDOM/}. Close it to remove it.
 *
 * <p>Of a process that is killed it stays behind, and may be a copy of a teacher of many GB. So its
 * file {@value #MARKER} is locked while the process lives: {@link #sweep}, by any later job of the
 * same user, removes the folders whose marker nobody has locked.
 */
public final class TemporaryFolder implements Closeable {
  private static final Logger LOG = LoggerFactory.getLogger(TemporaryFolder.class);

  private static final String PREFIX = "kklip-";

  /** What tells KKLIP's folders from all others: without it nothing is removed. */
  static final String MARKER = ".kklip-temporary";

  /**
   * Prefix of a system property for each folder of this virtual machine, whoever loaded this class.
   * Its markers must not be opened a second time: where locks are of the process, closing any
   * stream of a file frees them.
   */
  private static final String HELD = "kklip.temporary.";

  private static final Set<Path> SWEPT = new HashSet<>();

  /** A channel that nobody refers to is closed by the garbage collection. */
  private static final Set<TemporaryFolder> OPEN = ConcurrentHashMap.newKeySet();

  private final Path path;
  private final FileChannel marker;

  private TemporaryFolder(Path path, FileChannel marker) {
    this.path = path;
    this.marker = marker;
    OPEN.add(this);
  }

  /**
   * A new, empty folder that only this user may enter. The process's first one sweeps before.
   *
   * @param purpose goes into its name
   */
  public static TemporaryFolder create(String purpose) throws IOException {
    sweepOnce();
    Path folder = Files.createTempDirectory(PREFIX + purpose + "-");
    try {
      return mark(folder);
    } catch (IOException | RuntimeException e) {
      delete(folder);
      throw e;
    }
  }

  /** Marks a folder that another program made for this process, and that one removes. */
  public static TemporaryFolder mark(Path folder) throws IOException {
    Path real = folder.toRealPath();
    Path unlocked = real.resolve(MARKER + ".new");
    FileChannel channel =
        FileChannel.open(unlocked, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE);
    try {
      FileLock unused = channel.lock();
      System.setProperty(HELD + real, "");
      // Under its name it is locked from the first.
      Files.move(unlocked, real.resolve(MARKER));
      return new TemporaryFolder(real, channel);
    } catch (IOException | RuntimeException e) {
      System.clearProperty(HELD + real);
      channel.close();
      throw e;
    }
  }

  /** Where it is. */
  public Path path() {
    return path;
  }

  /** Removes it with all that is in it. */
  @Override
  public void close() throws IOException {
    try (marker) {
      delete(path);
    } finally {
      OPEN.remove(this);
      System.clearProperty(HELD + path);
    }
  }

  /** Sweeps the place of this process's temporary files, if this process has not done so yet. */
  public static void sweepOnce() {
    sweepOnce(Path.of(System.getProperty("java.io.tmpdir")));
  }

  /** Sweeps a place, if this process has not done so yet. Never fails: the folders can wait. */
  public static void sweepOnce(Path parent) {
    synchronized (SWEPT) {
      if (!SWEPT.add(parent)) {
        return;
      }
    }
    try {
      for (Path folder : sweep(parent)) {
        LOG.info("Removed the temporary folder {} of a process that was killed", folder);
      }
    } catch (IOException e) {
      LOG.debug("Cannot look for temporary folders in {}", parent, e);
    }
  }

  /**
   * Removes the folders of this user that killed processes left in {@code parent}. Links are not
   * followed; what has no marker, or one that is locked, stays.
   *
   * @return what was removed
   */
  static List<Path> sweep(Path parent) throws IOException {
    Path own = Files.createTempDirectory(parent, PREFIX + "user-");
    UserPrincipal user = Files.getOwner(own);
    Files.delete(own);
    List<Path> removed = new ArrayList<>();
    try (DirectoryStream<Path> found =
        Files.newDirectoryStream(parent.toRealPath(), PREFIX + "*")) {
      for (Path folder : found) {
        try {
          if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)
              && Files.getOwner(folder, LinkOption.NOFOLLOW_LINKS).equals(user)
              && removeIfLeft(folder)) {
            removed.add(folder);
          }
        } catch (IOException e) {
          LOG.debug("Cannot remove the temporary folder {}", folder, e);
        }
      }
    }
    return removed;
  }

  private static boolean removeIfLeft(Path folder) throws IOException {
    Path marker = folder.resolve(MARKER);
    if (System.getProperty(HELD + folder) != null
        || !Files.isRegularFile(marker, LinkOption.NOFOLLOW_LINKS)) {
      return false;
    }
    try (FileChannel channel =
        FileChannel.open(marker, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS)) {
      if (channel.tryLock() == null) {
        return false;
      }
      delete(folder);
      return true;
    }
  }

  /** Without following links; the marker last, so that what is left of it is found again. */
  private static void delete(Path folder) throws IOException {
    Path marker = folder.resolve(MARKER);
    if (!Files.exists(folder, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    Files.walkFileTree(
        folder,
        new SimpleFileVisitor<>() {
          @Override
          public FileVisitResult visitFile(Path file, BasicFileAttributes attributes)
              throws IOException {
            if (!file.equals(marker)) {
              Files.deleteIfExists(file);
            }
            return FileVisitResult.CONTINUE;
          }

          @Override
          public FileVisitResult postVisitDirectory(Path left, IOException e) throws IOException {
            if (e != null) {
              throw e;
            }
            if (left.equals(folder)) {
              Files.deleteIfExists(marker);
            }
            Files.deleteIfExists(left);
            return FileVisitResult.CONTINUE;
          }
        });
  }
}
