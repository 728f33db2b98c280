package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.ConditionalCreate;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.Locale;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Optional;
import java.util.TreeMap;
import java.util.regex.Pattern;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The manifests of a dataset: {@code _manifests/NUMBER.json}, of which the one with the largest
 * number counts. Each is created, whole, when there is none of its number ({@link
 * ConditionalCreate}), and never changed: of two writers that began with the same manifest one
 * succeeds, however long either of them pauses, and the other looks at what the first has done.
 */
public final class Manifests {
  private static final Logger LOG = LoggerFactory.getLogger(Manifests.class);

  /** Its name begins with an underscore, so that readers of Parquet folders pass it over. */
  public static final String FOLDER = "_manifests";

  private static final Pattern NAME = Pattern.compile("(\\d{9,18})\\.json");

  /** Another writer has made a commit each time: then there are more of them than can be. */
  private static final int MOST_TRIES = 1000;

  private Manifests() {}

  /** What a job does to the dataset. */
  @FunctionalInterface
  public interface Change {
    /**
     * The dataset after the change.
     *
     * @param newest as it is now, which may be after commits of others
     * @throws ConflictException when another job has changed what this change is based on
     */
    DatasetManifest apply(DatasetManifest newest) throws IOException;
  }

  /** Another job has changed what this one worked on: its work is not part of the dataset. */
  public static final class ConflictException extends IOException {
    private static final long serialVersionUID = 1L;

    /**
     * @param what cannot be committed, for example {@code "the new pairs"}
     * @param why what the other job has done
     */
    public ConflictException(Path dataset, String what, String why) {
      super(
          message(
              "Cannot add %s to the dataset %s because %s while this job worked. Run the job again.",
              what, dataset, why));
    }
  }

  /** The folder of the manifests. */
  public static Path folder(DatasetFolder dataset) {
    return new Path(dataset.root(), FOLDER);
  }

  /** The file of one manifest. */
  public static Path file(DatasetFolder dataset, long number) {
    return new Path(folder(dataset), String.format(Locale.ROOT, "%09d.json", number));
  }

  /** All manifests that are there, by number. */
  public static NavigableMap<Long, FileStatus> list(DatasetFolder dataset) throws IOException {
    NavigableMap<Long, FileStatus> numbers = new TreeMap<>();
    try {
      Path folder = folder(dataset);
      for (FileStatus status : Storage.of(dataset.configuration(), folder).listStatus(folder)) {
        var name = NAME.matcher(status.getPath().getName());
        if (status.isFile() && name.matches()) {
          numbers.put(Long.parseLong(name.group(1)), status);
        }
      }
    } catch (FileNotFoundException e) {
      // There is no dataset, or one of format 1.
    }
    return numbers;
  }

  /** The newest manifest; of a dataset of format 1 what its files say; empty when there is none. */
  static Optional<DatasetManifest> newest(DatasetFolder dataset) throws IOException {
    Map.Entry<Long, FileStatus> last = list(dataset).lastEntry();
    return last == null ? Format1.read(dataset) : Optional.of(read(dataset, last.getKey()));
  }

  /**
   * The manifest of a commit.
   *
   * @throws IOException when there is none, or it is damaged
   */
  public static DatasetManifest read(DatasetFolder dataset, long number) throws IOException {
    Path file = file(dataset, number);
    DatasetManifest manifest =
        Json.readIfPresent(dataset.configuration(), file, DatasetManifest.class)
            .orElseThrow(() -> new FileNotFoundException(message("There is no %s.", file)));
    if (manifest.format() != DatasetManifest.FORMAT || manifest.number() != number) {
      throw new IOException(
          message(
              "Cannot read %s because it says that it is number %s of format %s; this version reads format %s. Use the version that wrote it.",
              file, manifest.number(), manifest.format(), DatasetManifest.FORMAT));
    }
    return manifest;
  }

  /**
   * Makes a change to the dataset, as one step that happens or does not.
   *
   * @param empty what the dataset is when there is none yet
   * @return the dataset after it
   * @throws ConflictException as the change does
   * @throws IOException when the storage fails; then it may have happened
   */
  public static DatasetManifest commit(DatasetFolder dataset, DatasetManifest empty, Change change)
      throws IOException {
    for (int tries = 0; tries < MOST_TRIES; tries++) {
      DatasetManifest newest = newest(dataset).orElse(empty);
      DatasetManifest next = change.apply(newest);
      if (next.equals(newest) && newest.number() > 0) {
        return newest;
      }
      DatasetManifest numbered = next.numbered(newest.number() + 1);
      if (create(dataset, numbered)) {
        LOG.info("The dataset {} is at its commit {}", dataset.root(), numbered.number());
        return numbered;
      }
    }
    throw new IOException(
        message(
            "Cannot change the dataset %s because others have changed it %s times since. Run the job again.",
            dataset.root(), MOST_TRIES));
  }

  private static boolean create(DatasetFolder dataset, DatasetManifest manifest)
      throws IOException {
    Path file = file(dataset, manifest.number());
    try {
      return ConditionalCreate.create(dataset.configuration(), file, Json.pretty(manifest));
    } catch (IOException e) {
      // The answer may be lost, and not the file.
      Optional<DatasetManifest> there;
      try {
        there = Json.readIfPresent(dataset.configuration(), file, DatasetManifest.class);
      } catch (IOException again) {
        e.addSuppressed(again);
        throw e;
      }
      if (there.isEmpty()) {
        throw e;
      }
      return there.get().equals(manifest);
    }
  }
}
