package io.github.kklip.store.publication;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryNotEmptyException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.NoSuchFileException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;

/**
 * The files {@code _leases/TOKEN.HEARTBEAT.json} of a folder. Each heartbeat is a new file, made
 * before the one before it is removed: replacing a file is two steps on some file systems, and
 * between them a live claim would not be seen.
 */
final class LeaseClaims {
  /** Readers of Parquet skip what begins so. */
  static final String FOLDER = "_leases";

  /** How often the folder may be removed as empty, by jobs that end, before a file is in it. */
  private static final int WRITES = 20;

  private static final Pattern NAME = Pattern.compile("([0-9a-f-]{36})\\.(\\d{1,18})\\.json");

  private final Configuration configuration;
  private final Path target;
  private final Path folder;
  private final Duration expiry;

  /** By name. */
  private final Map<String, LeaseClaim> read = new HashMap<>();

  /** Names of all files in the last listing. */
  private Set<String> listed = Set.of();

  LeaseClaims(Configuration configuration, Path target, Duration expiry) throws IOException {
    this.configuration = configuration;
    this.target = Storage.of(configuration, target).makeQualified(target);
    this.folder = new Path(this.target, FOLDER);
    this.expiry = expiry;
  }

  Path file(LeaseClaim claim) {
    return new Path(folder, claim.token() + "." + claim.heartbeat() + ".json");
  }

  /** All claims, each with its newest heartbeat, by token. */
  Map<String, LeaseClaim> list() throws IOException {
    Map<String, Long> newest = new TreeMap<>();
    List<Path> files = files();
    listed = files.stream().map(Path::getName).collect(Collectors.toSet());
    for (Path file : files) {
      Matcher name = NAME.matcher(file.getName());
      if (name.matches()) {
        newest.merge(name.group(1), Long.parseLong(name.group(2)), Math::max);
      }
    }
    Map<String, LeaseClaim> claims = new TreeMap<>();
    for (Map.Entry<String, Long> entry : newest.entrySet()) {
      claims.put(entry.getKey(), claim(entry.getKey(), entry.getValue()));
    }
    read.keySet().retainAll(listed);
    return claims;
  }

  /** Whether the last listing had the file of this very heartbeat. */
  boolean wasListed(LeaseClaim claim) {
    return listed.contains(file(claim).getName());
  }

  /**
   * A claim that is listed and cannot be found by now was renewed or given back; which of both, the
   * next listing tells. Until then it counts as there.
   */
  private LeaseClaim claim(String token, long heartbeat) throws IOException {
    LeaseClaim nameOnly = LeaseClaim.unreadable(token, heartbeat, expiry);
    Path file = file(nameOnly);
    LeaseClaim known = read.get(file.getName());
    if (known != null) {
      return known;
    }
    LeaseClaim claim = nameOnly;
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      String text = new String(in.readAllBytes(), StandardCharsets.UTF_8);
      LeaseClaim parsed = Json.parse(text, LeaseClaim.class);
      claim = token.equals(parsed.token()) && parsed.takes() != null ? parsed : nameOnly;
    } catch (FileNotFoundException | NoSuchFileException e) {
      return nameOnly;
    } catch (IllegalArgumentException e) {
      // Of another version, or cut short by a power loss: its name tells whether it beats.
      claim = nameOnly;
    }
    read.put(file.getName(), claim);
    return claim;
  }

  void write(LeaseClaim claim) throws IOException {
    for (int left = WRITES - 1; ; left--) {
      try {
        if (Storage.isObjectStore(configuration, folder)) {
          // It appears whole, without a spool file for so little.
          try (OutputStream out = Storage.of(configuration, folder).create(file(claim), true)) {
            out.write(Json.pretty(claim));
          }
        } else {
          Publication.write(configuration, file(claim), Json.pretty(claim));
        }
        return;
      } catch (FileNotFoundException | NoSuchFileException e) {
        // Another job, at its end, removed the folder as empty after it was made for this file.
        if (left == 0) {
          throw e;
        }
      }
    }
  }

  /** Removes the files of a claim with heartbeats before one, also those not written whole. */
  void remove(String token, long before) throws IOException {
    FileSystem fileSystem = Storage.of(configuration, folder);
    for (Path file : files()) {
      Matcher name = NAME.matcher(file.getName());
      boolean older = !name.matches() || Long.parseLong(name.group(2)) < before;
      if (file.getName().contains(token) && older) {
        fileSystem.delete(file, false);
      }
    }
  }

  private List<Path> files() throws IOException {
    List<Path> files = new ArrayList<>();
    if (Storage.isLocal(configuration, folder)) {
      // Hadoop's listing fails with any error when the folder is removed meanwhile.
      try (DirectoryStream<java.nio.file.Path> listed =
          Files.newDirectoryStream(java.nio.file.Path.of(folder.toUri()))) {
        listed.forEach(file -> files.add(new Path(folder, file.getFileName().toString())));
        return files;
      } catch (DirectoryIteratorException e) {
        throw e.getCause();
      } catch (NoSuchFileException e) {
        return List.of();
      }
    }
    try {
      for (FileStatus status : Storage.of(configuration, folder).listStatus(folder)) {
        files.add(status.getPath());
      }
      return files;
    } catch (FileNotFoundException e) {
      return List.of();
    }
  }

  /** The folders that have to be made for the first claim to be there, upwards. */
  List<Path> missing() throws IOException {
    FileSystem fileSystem = Storage.of(configuration, target);
    List<Path> missing = new ArrayList<>();
    for (Path path = target; path != null && !fileSystem.exists(path); path = path.getParent()) {
      missing.add(path);
    }
    return missing;
  }

  /** Removes the folder of claims, and then those made for it, as long as they are empty. */
  void removeEmpty(List<Path> made) throws IOException {
    FileSystem fileSystem = Storage.of(configuration, folder);
    List<Path> folders = new ArrayList<>(List.of(folder));
    folders.addAll(made);
    for (Path path : folders) {
      try {
        if (Storage.isLocal(configuration, path)) {
          // Hadoop looks whether it is empty, and then deletes all that is in it by then.
          Files.deleteIfExists(java.nio.file.Path.of(path.toUri()));
        } else if (fileSystem.listStatus(path).length == 0) {
          fileSystem.delete(path, false);
        } else {
          return;
        }
      } catch (FileNotFoundException e) {
        // An object store has no folders, or another job removed it.
      } catch (DirectoryNotEmptyException | PathIsNotEmptyDirectoryException e) {
        return;
      }
    }
  }
}
