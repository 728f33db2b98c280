package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.Identity;
import io.github.kklip.store.publication.Durability;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.publication.TemporaryFolder;
import java.io.ByteArrayOutputStream;
import java.io.FileNotFoundException;
import java.io.FilterOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
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
 * The checkpoints of a run: {@code OUTPUT/checkpoints/step-NNNNNNNNN.RUN-TOKEN/}, on any file
 * system that Hadoop knows.
 *
 * <p>A checkpoint's files are written into a folder of its own, whose name carries the run ({@link
 * RunId}) and a random token so that no two attempts ever write one path, and {@code
 * checkpoint.json} last: it lists every file with its size and SHA-256. A folder without it, or
 * with a file that differs from it, is no checkpoint. So nothing is renamed, and file systems and
 * object stores work alike. The files and their folder are on the disks before the marker is, and
 * the marker before an older checkpoint is removed.
 *
 * <p>A run removes only what it wrote itself, in any of its starts: old checkpoints and what was
 * not written to its end. What could not be written is removed at once, as it may be what fills the
 * disk.
 */
public final class CheckpointStore {
  private static final Logger LOG = LoggerFactory.getLogger(CheckpointStore.class);

  public static final String FOLDER = "checkpoints";
  public static final String MARKER = CheckpointMarker.NAME;

  /** Names without a run are of versions that did not write it. */
  private static final Pattern NAME =
      Pattern.compile("step-(\\d{9,18})\\.(?:(" + RunId.DIGITS + ")-)?[0-9a-f]{8}");

  /** Writes the bytes of one file. */
  @FunctionalInterface
  interface Content {
    void writeTo(OutputStream out) throws IOException;
  }

  private final Path folder;
  private final FileSystem fileSystem;
  private String run;

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
   *
   * @throws IOException when its state is damaged too
   */
  public static Optional<TrainState> newestState(String output, Configuration configuration)
      throws IOException {
    CheckpointStore store = new CheckpointStore(output, configuration);
    Optional<Path> newest = store.newestMarked();
    return newest.isEmpty()
        ? Optional.empty()
        : CheckpointMarker.stateAlone(store.fileSystem, newest.get());
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
            CheckpointMarker.stateAlone(store.fileSystem, candidate)
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

  private static Optional<String> run(Path candidate) {
    Matcher matcher = NAME.matcher(candidate.getName());
    return matcher.matches() ? Optional.ofNullable(matcher.group(2)) : Optional.empty();
  }

  /**
   * Begins an attempt at the run: from here on checkpoints may be written. What earlier attempts of
   * the run did not write to its end goes; the checkpoints of others stay. Only for the holder of
   * the folder's lease.
   *
   * @param guard is asked before anything is written or removed, and throws when nothing may be
   */
  void begin(Runnable guard) throws IOException {
    guard.run();
    Durability.makeFolder(fileSystem.getConf(), folder);
    run =
        RunId.of(
            fileSystem.getConf(),
            folder.getParent(),
            () -> newestMarked().flatMap(CheckpointStore::run));
    List<String> others = new ArrayList<>();
    for (Path candidate : candidates()) {
      if (!isOwn(candidate)) {
        others.add(candidate.getName());
      } else if (!isMarked(candidate)) {
        guard.run();
        LOG.info("Removing {}, which an earlier start did not write to its end", candidate);
        fileSystem.delete(candidate, true);
      }
    }
    if (!others.isEmpty()) {
      LOG.info("The run {} did not write these and leaves them in {}: {}", run, folder, others);
    }
  }

  private boolean isOwn(Path candidate) {
    return run(candidate).filter(run::equals).isPresent();
  }

  private boolean isMarked(Path candidate) throws IOException {
    return fileSystem.exists(new Path(candidate, MARKER));
  }

  /** Checks every file against the marker, fetching it on the way when it is remote. */
  private Checkpoint open(Path candidate, boolean withOptimizer) throws IOException {
    CheckpointMarker marker = CheckpointMarker.read(fileSystem, candidate, withOptimizer);
    TrainState state = state(candidate, marker);
    if (fileSystem.getUri().getScheme().equals("file")) {
      checkAll(candidate, marker, withOptimizer, null);
      java.nio.file.Path local = java.nio.file.Path.of(candidate.toUri().getPath());
      return new Checkpoint(candidate.toString(), local, null, state);
    }
    TemporaryFolder fetched = TemporaryFolder.create("checkpoint");
    boolean whole = false;
    try {
      checkAll(candidate, marker, withOptimizer, fetched.path());
      whole = true;
      return new Checkpoint(candidate.toString(), fetched.path(), fetched, state);
    } finally {
      if (!whole) {
        fetched.close();
      }
    }
  }

  private void checkAll(
      Path candidate, CheckpointMarker marker, boolean withOptimizer, java.nio.file.Path target)
      throws IOException {
    for (Map.Entry<String, CheckpointMarker.FileEntry> file : marker.files().entrySet()) {
      if (withOptimizer || !file.getKey().equals(Checkpoint.OPTIMIZER)) {
        OutputStream out =
            target == null
                ? OutputStream.nullOutputStream()
                : Files.newOutputStream(target.resolve(file.getKey()));
        check(candidate, file.getKey(), file.getValue(), out);
      }
    }
  }

  /** The state, by the bytes that the marker lists. */
  private TrainState state(Path candidate, CheckpointMarker marker) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    check(candidate, Checkpoint.STATE, marker.files().get(Checkpoint.STATE), bytes);
    return CheckpointMarker.parse(
        candidate, Checkpoint.STATE, bytes.toByteArray(), TrainState.class);
  }

  private void check(
      Path candidate, String name, CheckpointMarker.FileEntry listed, OutputStream target)
      throws IOException {
    MessageDigest sha256 = Identity.sha256();
    long bytes = 0;
    try (InputStream in =
            new DigestInputStream(fileSystem.open(new Path(candidate, name)), sha256);
        OutputStream out = target) {
      bytes = Storage.copy(in, out, listed.bytes());
    } catch (FileNotFoundException e) {
      throw new TornCheckpointException(candidate, message("%s is missing", name), e);
    }
    if (bytes > listed.bytes()) {
      throw new TornCheckpointException(
          candidate,
          message("%s has more than the %s bytes that are listed", name, listed.bytes()),
          null);
    }
    if (bytes < listed.bytes()) {
      throw new TornCheckpointException(
          candidate, message("%s has %s bytes instead of %s", name, bytes, listed.bytes()), null);
    }
    if (!HexFormat.of().formatHex(sha256.digest()).equals(listed.sha256())) {
      throw new TornCheckpointException(candidate, message("the hash of %s differs", name), null);
    }
  }

  /**
   * Writes a checkpoint, marker last, and removes those of this run beyond the {@code keep} newest.
   * After a failure nothing of it is left.
   *
   * @param guard is asked before anything is written or an older one is removed, and throws when
   *     nothing may be
   * @return its folder
   */
  String write(long step, Map<String, Content> files, int keep, Runnable guard) throws IOException {
    guard.run();
    String token = UUID.randomUUID().toString().substring(0, 8);
    Path target = new Path(folder, String.format("step-%09d.%s-%s", step, run, token));
    boolean whole = false;
    try {
      write(target, files, guard);
      whole = true;
    } finally {
      if (!whole) {
        abandon(target);
      }
    }
    guard.run();
    retire(step, keep);
    return target.toString();
  }

  private void write(Path target, Map<String, Content> files, Runnable guard) throws IOException {
    Durability.makeFolder(fileSystem.getConf(), target);
    SortedMap<String, CheckpointMarker.FileEntry> written = new TreeMap<>();
    for (Map.Entry<String, Content> file : files.entrySet()) {
      written.put(file.getKey(), write(new Path(target, file.getKey()), file.getValue(), guard));
    }
    Durability.syncFolder(fileSystem.getConf(), target);
    guard.run();
    // In one step: a marker that is there but not whole would pass for a checkpoint at a glance.
    try (Publication marker = Publication.of(fileSystem.getConf(), new Path(target, MARKER))) {
      try (OutputStream out = marker.create()) {
        out.write(Json.pretty(new CheckpointMarker(written)));
      }
      guard.run();
      marker.commit();
    }
  }

  /**
   * Removes what was not written to its end. Also a rank that was stopped and continued may: nobody
   * else has ever written there. A marker that has come into its place in spite of the failure
   * stays, with what it lists.
   */
  private void abandon(Path target) {
    try {
      if (!isMarked(target)) {
        fileSystem.delete(target, true);
      }
    } catch (IOException e) {
      LOG.warn("Cannot remove the unfinished checkpoint {}; the run's next start does", target, e);
    }
  }

  private CheckpointMarker.FileEntry write(Path path, Content content, Runnable guard)
      throws IOException {
    MessageDigest sha256 = Identity.sha256();
    guard.run();
    try (FSDataOutputStream file = fileSystem.create(path, false, 1 << 20)) {
      boolean whole = false;
      try {
        content.writeTo(new DigestOutputStream(new GuardedStream(file, guard), sha256));
        guard.run();
        Durability.sync(file);
        whole = true;
      } finally {
        // Where closing is what publishes, a part must not be.
        if (!whole && file.hasCapability(StreamCapabilities.ABORTABLE_STREAM)) {
          file.abort();
        }
      }
    }
    return new CheckpointMarker.FileEntry(
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

  /**
   * Removes checkpoints of this run, and torn ones, older than the {@code keep} newest up to {@code
   * step}.
   */
  private void retire(long step, int keep) throws IOException {
    int kept = 0;
    for (Path candidate : candidates()) {
      if (!isOwn(candidate) || step(candidate) > step) {
        continue;
      }
      if (kept < keep && isMarked(candidate)) {
        kept++;
      } else if (kept == keep) {
        // The marker first: a removal that is cut short must not leave what looks whole.
        fileSystem.delete(new Path(candidate, MARKER), false);
        fileSystem.delete(candidate, true);
      }
    }
  }
}
