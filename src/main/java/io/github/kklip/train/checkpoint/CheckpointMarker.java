package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.Json;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.SortedMap;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * What {@code checkpoint.json} says: the files of a checkpoint. It may come from anywhere, so that
 * nothing in it is used before it was looked at.
 */
record CheckpointMarker(SortedMap<String, FileEntry> files) {
  static final String NAME = "checkpoint.json";

  /** A marker of all files has less than 2 KiB. */
  private static final int MOST_BYTES = 1 << 16;

  /** A state of 300,000 shards with their derived files has less. */
  private static final int MOST_STATE_BYTES = 1 << 28;

  private static final Pattern SHA256 = Pattern.compile("[0-9a-f]{64}");
  private static final List<String> NEEDED = List.of(Checkpoint.MODEL, Checkpoint.STATE);
  private static final List<String> WITH_OPTIMIZER =
      List.of(Checkpoint.MODEL, Checkpoint.STATE, Checkpoint.OPTIMIZER);

  /** Size and hash of one file. */
  record FileEntry(long bytes, String sha256) {}

  /**
   * The marker of a checkpoint.
   *
   * @param withOptimizer whether the moments must be among its files
   * @throws TornCheckpointException when there is none, or none that can be used
   * @throws IOException when the store cannot be read
   */
  static CheckpointMarker read(FileSystem fileSystem, Path candidate, boolean withOptimizer)
      throws IOException {
    byte[] bytes;
    try (InputStream in = fileSystem.open(new Path(candidate, NAME))) {
      bytes = in.readNBytes(MOST_BYTES + 1);
    } catch (FileNotFoundException e) {
      throw new TornCheckpointException(candidate, "it was not written to its end", e);
    }
    if (bytes.length > MOST_BYTES) {
      throw new TornCheckpointException(
          candidate, message("%s has more than %s bytes", NAME, MOST_BYTES), null);
    }
    CheckpointMarker marker = parse(candidate, NAME, bytes, CheckpointMarker.class);
    marker.requireOwnFiles(candidate, withOptimizer);
    return marker;
  }

  /** The state beside a marker, without a look at the marker; empty when there is none. */
  static Optional<TrainState> stateAlone(FileSystem fileSystem, Path candidate) throws IOException {
    byte[] bytes;
    try (InputStream in = fileSystem.open(new Path(candidate, Checkpoint.STATE))) {
      bytes = in.readNBytes(MOST_STATE_BYTES + 1);
    } catch (FileNotFoundException e) {
      return Optional.empty();
    }
    if (bytes.length > MOST_STATE_BYTES) {
      throw new TornCheckpointException(
          candidate,
          message("%s has more than %s bytes", Checkpoint.STATE, MOST_STATE_BYTES),
          null);
    }
    return Optional.of(parse(candidate, Checkpoint.STATE, bytes, TrainState.class));
  }

  /** The value of a file whose bytes were read whole. */
  static <T> T parse(Path candidate, String name, byte[] bytes, Class<T> type)
      throws TornCheckpointException {
    T value;
    try {
      value = Json.parse(new String(bytes, StandardCharsets.UTF_8), type);
    } catch (IllegalArgumentException e) {
      throw new TornCheckpointException(candidate, message("%s is damaged", name), e);
    }
    if (value == null) {
      throw new TornCheckpointException(candidate, message("%s is damaged", name), null);
    }
    return value;
  }

  /** No name becomes a path before it was looked at. */
  private void requireOwnFiles(Path candidate, boolean withOptimizer)
      throws TornCheckpointException {
    if (files == null) {
      throw new TornCheckpointException(candidate, message("%s lists no files", NAME), null);
    }
    for (Map.Entry<String, FileEntry> file : files.entrySet()) {
      FileEntry entry = file.getValue();
      if (!Checkpoint.FILES.contains(file.getKey())) {
        throw new TornCheckpointException(
            candidate, message("%s lists %s, which no checkpoint has", NAME, file.getKey()), null);
      }
      if (entry == null
          || entry.bytes < 0
          || entry.sha256 == null
          || !SHA256.matcher(entry.sha256).matches()) {
        throw new TornCheckpointException(
            candidate, message("%s gives no size and hash of %s", NAME, file.getKey()), null);
      }
    }
    for (String needed : withOptimizer ? WITH_OPTIMIZER : NEEDED) {
      if (!files.containsKey(needed)) {
        throw new TornCheckpointException(
            candidate, message("%s does not list %s", NAME, needed), null);
      }
    }
    if (files.get(Checkpoint.STATE).bytes > MOST_STATE_BYTES) {
      throw new TornCheckpointException(
          candidate,
          message("%s lists %s with more than %s bytes", NAME, Checkpoint.STATE, MOST_STATE_BYTES),
          null);
    }
  }
}
