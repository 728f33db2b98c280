package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.NameEncoding;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * The files of a folder at any depth. A folder that a person names may be a link. Links that are
 * met below it are files of it where they lead to a file inside it, and skipped where they lead out
 * of it or to a folder that was visited: so a walk ends, and a folder that others can write to
 * gives nothing away. Every folder is visited once. Only local disks have links.
 *
 * @param files that may be read
 * @param skipped what is not read
 */
record FolderWalk(List<FileStatus> files, List<Skipped> skipped) {
  /**
   * A link that is not followed, or a file whose name is no text.
   *
   * @param reason of its reject
   * @param why for a person
   */
  record Skipped(Path path, String reason, String why) {
    /** As one of the names of a {@link LinkReader}'s unit. */
    List<String> named(String name) {
      return List.of(name, reason, why);
    }
  }

  /**
   * Walks.
   *
   * @param followLinks whether links may lead out of the folder
   */
  static FolderWalk of(Configuration configuration, Path folder, boolean followLinks)
      throws IOException {
    if (!Storage.isLocal(configuration, folder)) {
      return new FolderWalk(Storage.files(configuration, folder), List.of());
    }
    FileSystem fileSystem = Storage.of(configuration, folder);
    java.nio.file.Path root = local(folder).toRealPath();
    List<FileStatus> files = new ArrayList<>();
    List<Skipped> skipped = new ArrayList<>();
    Set<java.nio.file.Path> visited = new HashSet<>();
    Deque<java.nio.file.Path> folders = new ArrayDeque<>(List.of(local(folder)));
    // Links come after all folders, which are visited by their own names.
    Deque<java.nio.file.Path> links = new ArrayDeque<>();
    while (!folders.isEmpty() || !links.isEmpty()) {
      java.nio.file.Path next = folders.isEmpty() ? links.remove() : folders.remove();
      boolean isRoot = visited.isEmpty();
      Path path = isRoot ? folder : hadoop(next);
      if (!isRoot && Files.isSymbolicLink(next)) {
        String why = why(root, next, followLinks, visited);
        if (why != null) {
          skipped.add(new Skipped(path, Problem.LINK, why));
          continue;
        }
      }
      if (!Files.isDirectory(next)) {
        files.add(fileSystem.getFileStatus(path));
        continue;
      }
      visited.add(next.toRealPath());
      try (Stream<java.nio.file.Path> entries = Files.list(next)) {
        for (java.nio.file.Path entry : entries.sorted().toList()) {
          if (!NameEncoding.isText(entry.getFileName())) {
            skipped.add(new Skipped(hadoop(entry), Problem.NAME_ENCODING, NameEncoding.notText()));
          } else if (Files.isSymbolicLink(entry)) {
            links.add(entry);
          } else if (Files.isDirectory(entry, LinkOption.NOFOLLOW_LINKS)) {
            folders.add(entry);
          } else {
            files.add(fileSystem.getFileStatus(hadoop(entry)));
          }
        }
      }
    }
    return new FolderWalk(files, skipped);
  }

  /** Why a file inside a folder is not read though it is there: it is a link; null when it is. */
  static String whyNot(Configuration configuration, Path folder, Path file, boolean followLinks)
      throws IOException {
    if (followLinks || !Storage.isLocal(configuration, folder)) {
      return null;
    }
    java.nio.file.Path local = local(file);
    return Files.isSymbolicLink(local)
        ? why(local(folder).toRealPath(), local, false, Set.of())
        : null;
  }

  /** Why a link is not followed; null when it is. */
  private static String why(
      java.nio.file.Path root,
      java.nio.file.Path link,
      boolean followLinks,
      Set<java.nio.file.Path> visited) {
    java.nio.file.Path real;
    try {
      real = link.toRealPath();
    } catch (IOException e) {
      return "the link leads nowhere";
    }
    if (!followLinks && !real.startsWith(root)) {
      return message(
          "the link leads out of %s. Set follow-links = true for this source to follow it", root);
    }
    return visited.contains(real)
        ? message("the link leads to %s, which is read itself", real)
        : null;
  }

  /** From the name as it is: a URI of a folder has a slash at its end. */
  private static Path hadoop(java.nio.file.Path path) {
    return new Path("file", null, path.toString());
  }

  private static java.nio.file.Path local(Path path) {
    return java.nio.file.Path.of(path.toUri().getPath());
  }
}
