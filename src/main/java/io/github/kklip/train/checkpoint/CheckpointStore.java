package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.Identity;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.security.DigestInputStream;
import java.security.DigestOutputStream;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.StreamCapabilities;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The checkpoints of a run: {@code OUTPUT/checkpoints/step-NNNNNNNNN.TOKEN/}, on any file system
 * that Hadoop knows.
 *
 * <p>A checkpoint's files are written into a folder of its own, whose name carries a random token
 * so that no two attempts ever write one path, and {@code checkpoint.json} last: it lists every
 * file with its size and SHA-256. A folder without it, or with a file that differs from it, is no
 * checkpoint. So nothing is renamed, and file systems and object stores work alike.
 */
public final class CheckpointStore {
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointStore.class);

  public static final String FOLDER = "checkpoints";
  public static final String MARKER = "checkpoint.json";
  private static final List<String> NEEDED = List.of(Checkpoint.MODEL, Checkpoint.STATE);
  private static final List<String> WITH_OPTIMIZER =
      List.of(Checkpoint.MODEL, Checkpoint.STATE, Checkpoint.OPTIMIZER);
  private static final Pattern NAME = Pattern.compile("step-(\\d{9,})\\.[0-9a-f]{8}");

  /** Writes the bytes of one file. */
  @FunctionalInterface
  interface Content {
    void writeTo(OutputStream out) throws IOException;
  }

  /** What {@code checkpoint.json} says. */
  record Marker(SortedMap<String, FileEntry> files) {}

  /** Size and hash of one file. */
  record FileEntry(long bytes, String sha256) {}

  private final Path folder;
  private final FileSystem fileSystem;

  /** The checkpoints of the run in folder {@code output}. */
  public CheckpointStore(String output, Configuration configuration) throws IOException {
    folder = new Path(Storage.path(output, configuration), FOLDER);
    fileSystem = Storage.of(configuration, folder);
  }

  private CheckpointStore(Path folder, FileSystem fileSystem) {
    this.folder = folder;
    this.fileSystem = fileSystem;
  }

  /**
   * The newest whole checkpoint of a run, or the checkpoint that {@code path} is.
   *
   * @param path a run's folder ({@code train.output}) or the folder of one checkpoint
   * @throws SettingsException when there is none that is whole
   */
  public static Checkpoint newest(String path, Configuration configuration) throws IOException {
    Path given = Storage.path(path, configuration);
    FileSystem fileSystem = Storage.of(configuration, given);
    if (fileSystem.exists(new Path(given, MARKER))) {
      return new CheckpointStore(given, fileSystem).open(given, false);
    }
    return new CheckpointStore(path, configuration).newest(false).orElseThrow(() -> none(path));
  }

  /**
   * Refuses a path at which {@link #newest} finds nothing, without reading weights.
   *
   * @throws SettingsException when no checkpoint was written to its end
   */
  public static void requireSome(String path, Configuration configuration) throws IOException {
    Path given = Storage.path(path, configuration);
    if (!Storage.of(configuration, given).exists(new Path(given, MARKER))
        && newestStep(path, configuration) < 0) {
      throw none(path);
    }
  }

  private static SettingsException none(String path) {
    return new SettingsException(
        message(
            "Cannot find a whole checkpoint in %s. Give the train.output of a run that has written one.",
            path));
  }

  /**
   * The newest whole checkpoint; one that is not whole is skipped with a log line.
   *
   * @param withOptimizer whether the moments are needed too
   */
  public Optional<Checkpoint> newest(boolean withOptimizer) throws IOException {
    for (Path candidate : candidates()) {
      try {
        return Optional.of(open(candidate, withOptimizer));
      } catch (TornCheckpointException e) {
        LOG.warn("{} Looking for an older one.", e.getMessage());
      }
    }
    return Optional.empty();
  }

  /**
   * The step of the newest checkpoint that was written to its end, without reading it; -1 when
   * there is none.
   */
  public static long newestStep(String output, Configuration configuration) throws IOException {
    return new CheckpointStore(output, configuration)
        .newestMarked()
        .map(CheckpointStore::step)
        .orElse(-1L);
  }

  /**
   * What the newest checkpoint that was written to its end is a checkpoint of, without reading its
   * weights; empty when there is none.
   */
  public static Optional<TrainState> newestState(String output, Configuration configuration)
      throws IOException {
    Optional<Path> newest = new CheckpointStore(output, configuration).newestMarked();
    return newest.isEmpty()
        ? Optional.empty()
        : Json.readIfPresent(
            configuration, new Path(newest.get(), Checkpoint.STATE), TrainState.class);
  }

  /**
   * What all checkpoints that were written to their ends are checkpoints of, without reading their
   * weights.
   */
  public static List<TrainState> states(String output, Configuration configuration)
      throws IOException {
    CheckpointStore store = new CheckpointStore(output, configuration);
    List<TrainState> states = new ArrayList<>();
    for (Path candidate : store.candidates()) {
      if (store.fileSystem.exists(new Path(candidate, MARKER))) {
        states.add(
            Json.readIfPresent(
                    configuration, new Path(candidate, Checkpoint.STATE), TrainState.class)
                .orElseThrow(
                    () ->
                        new FileNotFoundException(
                            message("%s has no %s", candidate, Checkpoint.STATE))));
      }
    }
    return states;
  }

  /** The newest that was written to its end. */
  private Optional<Path> newestMarked() throws IOException {
    for (Path candidate : candidates()) {
      if (fileSystem.exists(new Path(candidate, MARKER))) {
        return Optional.of(candidate);
      }
    }
    return Optional.empty();
  }

  /** Folders that may be checkpoints, the newest first. */
  private List<Path> candidates() throws IOException {
    FileStatus[] found;
    try {
      found = fileSystem.listStatus(folder);
    } catch (FileNotFoundException e) {
      return List.of();
    }
    List<Path> candidates = new ArrayList<>();
    for (FileStatus status : found) {
      if (status.isDirectory() && NAME.matcher(status.getPath().getName()).matches()) {
        candidates.add(status.getPath());
      }
    }
    candidates.sort(
        Comparator.comparingLong(CheckpointStore::step).thenComparing(Path::getName).reversed());
    return candidates;
  }

  private static long step(Path candidate) {
    Matcher matcher = NAME.matcher(candidate.getName());
    return matcher.matches() ? Long.parseLong(matcher.group(1)) : -1;
  }

  /** Checks every file against the marker, fetching it on the way when it is remote. */
  private Checkpoint open(Path candidate, boolean withOptimizer) throws IOException {
    Marker marker = marker(candidate, withOptimizer);
    boolean local = fileSystem.getUri().getScheme().equals("file");
    java.nio.file.Path target =
        local
            ? java.nio.file.Path.of(candidate.toUri().getPath())
            : Files.createTempDirectory("kklip-checkpoint-");
    boolean whole = false;
    try {
      for (Map.Entry<String, FileEntry> file : marker.files.entrySet()) {
        if (withOptimizer || !file.getKey().equals(Checkpoint.OPTIMIZER)) {
          check(candidate, file.getKey(), file.getValue(), local ? null : target);
        }
      }
      Checkpoint checkpoint = new Checkpoint(candidate.toString(), target, !local);
      whole = true;
      return checkpoint;
    } finally {
      if (!whole && !local) {
        Checkpoint.delete(target);
      }
    }
  }

  private Marker marker(Path candidate, boolean withOptimizer) throws IOException {
    Marker marker;
    try (InputStream in = fileSystem.open(new Path(candidate, MARKER))) {
      marker = Json.parse(new String(in.readAllBytes(), StandardCharsets.UTF_8), Marker.class);
    } catch (FileNotFoundException e) {
      throw new TornCheckpointException(candidate, "it was not written to its end", e);
    } catch (IllegalArgumentException e) {
      throw new TornCheckpointException(candidate, message("%s is damaged", MARKER), e);
    }
    requireOwnFiles(candidate, marker, withOptimizer);
    return marker;
  }

  /** A marker may come from anywhere: no name in it becomes a path before it was looked at. */
  private static void requireOwnFiles(Path candidate, Marker marker, boolean withOptimizer)
      throws TornCheckpointException {
    if (marker == null || marker.files == null) {
      throw new TornCheckpointException(candidate, message("%s lists no files", MARKER), null);
    }
    for (Map.Entry<String, FileEntry> file : marker.files.entrySet()) {
      FileEntry entry = file.getValue();
      if (!Checkpoint.FILES.contains(file.getKey())) {
        throw new TornCheckpointException(
            candidate,
            message("%s lists %s, which no checkpoint has", MARKER, file.getKey()),
            null);
      }
      if (entry == null || entry.bytes < 0 || entry.sha256 == null) {
        throw new TornCheckpointException(
            candidate, message("%s gives no size and hash of %s", MARKER, file.getKey()), null);
      }
    }
    for (String needed : withOptimizer ? WITH_OPTIMIZER : NEEDED) {
      if (!marker.files.containsKey(needed)) {
        throw new TornCheckpointException(
            candidate, message("%s does not list %s", MARKER, needed), null);
      }
    }
  }

  private void check(Path candidate, String name, FileEntry listed, java.nio.file.Path target)
      throws IOException {
    MessageDigest sha256 = Identity.sha256();
    long bytes = 0;
    try (InputStream in =
            new DigestInputStream(fileSystem.open(new Path(candidate, name)), sha256);
        OutputStream out =
            target == null
                ? OutputStream.nullOutputStream()
                : Files.newOutputStream(target.resolve(name))) {
      bytes = copy(in, out, listed.bytes);
    } catch (FileNotFoundException e) {
      throw new TornCheckpointException(candidate, message("%s is missing", name), e);
    }
    if (bytes > listed.bytes) {
      throw new TornCheckpointException(
          candidate,
          message("%s has more than the %s bytes that are listed", name, listed.bytes),
          null);
    }
    if (bytes < listed.bytes) {
      throw new TornCheckpointException(
          candidate, message("%s has %s bytes instead of %s", name, bytes, listed.bytes), null);
    }
    if (!HexFormat.of().formatHex(sha256.digest()).equals(listed.sha256)) {
      throw new TornCheckpointException(candidate, message("the hash of %s differs", name), null);
    }
  }

  /**
   * Copies, and stops at the first byte beyond {@code most}, which it counts but does not write.
   */
  private static long copy(InputStream in, OutputStream out, long most) throws IOException {
    byte[] buffer = new byte[1 << 16];
    long copied = 0;
    int read = in.read(buffer);
    while (read >= 0) {
      if (copied + read > most) {
        return most + 1;
      }
      out.write(buffer, 0, read);
      copied += read;
      read = in.read(buffer);
    }
    return copied;
  }

  /**
   * Writes a checkpoint, marker last, and removes those beyond the {@code keep} newest.
   *
   * @param guard is asked before anything is written or removed, and throws when nothing may be
   * @return its folder
   */
  String write(long step, Map<String, Content> files, int keep, Runnable guard) throws IOException {
    guard.run();
    String token = UUID.randomUUID().toString().substring(0, 8);
    Path target = new Path(folder, String.format("step-%09d.%s", step, token));
    fileSystem.mkdirs(target);
    SortedMap<String, FileEntry> written = new TreeMap<>();
    for (Map.Entry<String, Content> file : files.entrySet()) {
      written.put(file.getKey(), write(new Path(target, file.getKey()), file.getValue(), guard));
    }
    guard.run();
    // In one step: a marker that is there but not whole would pass for a checkpoint at a glance.
    try (Publication marker = Publication.of(fileSystem.getConf(), new Path(target, MARKER))) {
      try (OutputStream out = marker.create()) {
        out.write(Json.pretty(new Marker(written)));
      }
      guard.run();
      marker.commit();
    }
    guard.run();
    retire(step, keep);
    return target.toString();
  }

  private FileEntry write(Path path, Content content, Runnable guard) throws IOException {
    MessageDigest sha256 = Identity.sha256();
    guard.run();
    try (FSDataOutputStream file = fileSystem.create(path, false, 1 << 20)) {
      try {
        content.writeTo(new DigestOutputStream(new GuardedStream(file, guard), sha256));
        guard.run();
      } catch (IOException | RuntimeException e) {
        // Where closing is what publishes, a part must not be.
        if (file.hasCapability(StreamCapabilities.ABORTABLE_STREAM)) {
          file.abort();
        }
        throw e;
      }
    }
    return new FileEntry(
        fileSystem.getFileStatus(path).getLen(), HexFormat.of().formatHex(sha256.digest()));
  }

  /** Asks before every piece. */
  private static final class GuardedStream extends FilterOutputStream {
    private final Runnable guard;

    GuardedStream(OutputStream out, Runnable guard) {
      super(out);
      this.guard = guard;
    }

    @Override
    public void write(byte[] bytes, int from, int length) throws IOException {
      guard.run();
      out.write(bytes, from, length);
    }
  }

  /** Removes checkpoints, and torn ones, older than the {@code keep} newest up to {@code step}. */
  private void retire(long step, int keep) throws IOException {
    int kept = 0;
    for (Path candidate : candidates()) {
      if (step(candidate) > step) {
        continue;
      }
      if (kept < keep && fileSystem.exists(new Path(candidate, MARKER))) {
        kept++;
      } else if (kept == keep) {
        // The marker first: a removal that is cut short must not leave what looks whole.
        fileSystem.delete(new Path(candidate, MARKER), false);
        fileSystem.delete(candidate, true);
      }
    }
  }

  /** A folder that is no whole checkpoint. */
  private static final class TornCheckpointException extends IOException {
    private static final long serialVersionUID = 1L;

    TornCheckpointException(Path checkpoint, String reason, Throwable cause) {
      super(message("Cannot use the checkpoint %s because %s.", checkpoint, reason), cause);
    }
  }
}
