package io.github.kklip.ingest;

import static io.github.kklip.config.Message.message;

import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.ingest.sources.Unit;
import io.github.kklip.store.Identity;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.HashSet;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * What decoding the images of one unit gave, kept beside the dataset while a run is unfinished: the
 * run that goes on does not decode them again.
 *
 * <p>A decoder may end the whole process. When Spark then tries the task again, every image is
 * noted before it is decoded; the one that is still noted at the next try was the end of the last
 * one, and is not decoded any more.
 */
final class Journal {
  private static final String SUSPECTS = "suspects";

  /** The result of one image. */
  record Outcome(int width, int height, long hash, Problem problem) {}

  /** The file's form. */
  private record Outcomes(Map<String, Outcome> images) {}

  private final Configuration configuration;
  private final Path file;
  private final Path suspects;
  private final boolean cautious;
  private final Map<String, Outcome> outcomes = new TreeMap<>();
  private final Set<String> suspected = new HashSet<>();
  private boolean changed;

  /**
   * @param work of this run and of others that are not done
   * @param cautious whether a try of the same task has failed before
   */
  Journal(Configuration configuration, WorkFolder work, Unit unit, boolean cautious)
      throws IOException {
    this.configuration = configuration;
    this.cautious = cautious;
    String name = Identity.ofImage(unit.encode().getBytes(java.nio.charset.StandardCharsets.UTF_8));
    this.file = new Path(work.folder(), name + ".json");
    this.suspects = new Path(work.folder(), SUSPECTS);
    for (Path folder : work.all()) {
      Json.readIfPresent(configuration, new Path(folder, name + ".json"), Outcomes.class)
          .ifPresent(known -> outcomes.putAll(known.images));
      try {
        for (FileStatus status : fileSystem().listStatus(new Path(folder, SUSPECTS))) {
          suspected.add(status.getPath().getName());
        }
      } catch (FileNotFoundException e) {
        // None, as it should be.
      }
    }
  }

  private FileSystem fileSystem() throws IOException {
    return Storage.of(configuration, suspects);
  }

  /** What is known of an image; null when it has to be decoded. */
  Outcome find(String imageId) {
    if (suspected.contains(imageId)) {
      return new Outcome(
          0, 0, 0, new Problem(Problem.DECODER_CRASH, "decoding it ended the process"));
    }
    return outcomes.get(imageId);
  }

  /** To be called before an image is decoded. */
  void begin(String imageId) {
    if (cautious) {
      try {
        fileSystem().create(new Path(suspects, imageId), true).close();
      } catch (IOException e) {
        throw new UncheckedIOException(
            message("Cannot note the image %s in %s", imageId, suspects), e);
      }
    }
  }

  /** To be called after it was decoded. */
  void end(String imageId, Outcome outcome) {
    if (cautious) {
      try {
        fileSystem().delete(new Path(suspects, imageId), false);
      } catch (IOException e) {
        throw new UncheckedIOException(
            message("Cannot clear the image %s in %s", imageId, suspects), e);
      }
    }
    changed = true;
    outcomes.put(imageId, outcome);
  }

  /** Keeps what was found, when the unit has been read to its end. */
  void finish() throws IOException {
    if (changed) {
      Json.write(configuration, file, new Outcomes(outcomes));
    }
  }
}
