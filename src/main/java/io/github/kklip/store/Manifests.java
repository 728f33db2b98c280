package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.ConditionalCreate;
import java.io.IOException;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Changes of a dataset. Each makes a new manifest, which is created when there is none of its
 * number ({@link ConditionalCreate}) and never changed: of two writers that began with the same
 * manifest one succeeds, however long either of them pauses, and the other looks at what the first
 * has done.
 */
public final class Manifests {
  private static final Logger LOG = LoggerFactory.getLogger(Manifests.class);

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
      DatasetManifest newest = dataset.readManifest().orElse(empty);
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

  /**
   * Puts another manifest in the place of one that has to be the newest still.
   *
   * @param what the change, as in {@link ConflictException}
   * @throws ConflictException when another job has changed the dataset
   */
  public static DatasetManifest replace(
      DatasetFolder dataset, DatasetManifest older, DatasetManifest made, String what)
      throws IOException {
    return commit(
        dataset,
        older,
        newest -> {
          if (!newest.equals(older)) {
            throw new ConflictException(dataset.root(), what, "another job has changed it");
          }
          return made;
        });
  }

  private static boolean create(DatasetFolder dataset, DatasetManifest manifest)
      throws IOException {
    Path file = ManifestFiles.file(dataset.root(), manifest.number());
    try {
      return ConditionalCreate.create(
          dataset.configuration(), file, ManifestFiles.sealed(manifest));
    } catch (IOException e) {
      // The answer may be lost, and not the file.
      try {
        return ManifestFiles.read(dataset.configuration(), dataset.root(), manifest.number())
            .equals(manifest);
      } catch (IOException again) {
        e.addSuppressed(again);
        throw e;
      }
    }
  }
}
