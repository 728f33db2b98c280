package io.github.kklip.ingest;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * {@code _work/DIGEST}: what a run of ingest keeps while it is not done, for a later run that has
 * the same work and goes on with it. The digest says what the work is: settings, generation and
 * sources.
 */
final class WorkFolder implements Serializable {
  private static final long serialVersionUID = 1L;

  private static final Logger LOG = LoggerFactory.getLogger(WorkFolder.class);
  private static final String FILE = "work.json";

  private final PortableConfiguration configuration;
  private final String folder;
  private final List<String> others;
  private final boolean resumed;

  /** {@code work.json}: written first, so that what stands beside it is known to be this work's. */
  private record Work(int generation) {}

  /** What stands in a file of a part. */
  private record Part(String candidates, ShardTask.WrittenShard written) {}

  private WorkFolder(
      PortableConfiguration configuration, String folder, List<String> others, boolean resumed) {
    this.resumed = resumed;
    this.configuration = configuration;
    this.folder = folder;
    this.others = others;
  }

  private static Path root(DatasetFolder dataset) {
    return new Path(dataset.root(), "_work");
  }

  /**
   * The folder of a work.
   *
   * @param generation that the work adds
   */
  static WorkFolder begin(DatasetFolder dataset, String digest, int generation) throws IOException {
    SortedMap<String, Work> works = list(dataset);
    Path folder = new Path(root(dataset), digest);
    boolean resumed = works.remove(folder.toString()) != null;
    if (!resumed) {
      Json.write(dataset.configuration(), new Path(folder, FILE), new Work(generation));
    } else {
      LOG.info("Going on with an interrupted run");
    }
    return new WorkFolder(
        new PortableConfiguration(dataset.configuration()),
        folder.toString(),
        List.copyOf(works.keySet()),
        resumed);
  }

  /** Whether a run that was to make the dataset's first generation has begun, and is not done. */
  static boolean isFirstUnfinished(DatasetFolder dataset) throws IOException {
    return list(dataset).values().stream().anyMatch(work -> work.generation == 0);
  }

  private static SortedMap<String, Work> list(DatasetFolder dataset) throws IOException {
    SortedMap<String, Work> works = new TreeMap<>();
    Path root = root(dataset);
    try {
      for (FileStatus status : Storage.of(dataset.configuration(), root).listStatus(root)) {
        Json.readIfPresent(dataset.configuration(), new Path(status.getPath(), FILE), Work.class)
            .ifPresent(work -> works.put(status.getPath().toString(), work));
      }
    } catch (FileNotFoundException e) {
      // None.
    }
    return works;
  }

  /** Whether an interrupted run has begun with this work. */
  boolean isResumed() {
    return resumed;
  }

  Path folder() {
    return new Path(folder);
  }

  /** This folder and those of other works: what was found in an image is true for any. */
  List<Path> all() {
    List<Path> all = new ArrayList<>(List.of(folder()));
    others.forEach(other -> all.add(new Path(other)));
    return all;
  }

  private Path part(int part) {
    return new Path(folder, "part-" + part + ".json");
  }

  /**
   * What an earlier run wrote of a part, of the same candidates.
   *
   * @param candidates their digest
   */
  Optional<ShardTask.WrittenShard> written(int part, String candidates) throws IOException {
    return Json.readIfPresent(configuration.get(), part(part), Part.class)
        .filter(found -> found.candidates.equals(candidates))
        .map(Part::written);
  }

  /** Notes what was written of a part. */
  void note(int part, String candidates, ShardTask.WrittenShard written) throws IOException {
    Json.write(configuration.get(), part(part), new Part(candidates, written));
  }

  /** The work is done, or was refused. */
  void remove() throws IOException {
    Path path = folder();
    FileSystem fileSystem = Storage.of(configuration.get(), path);
    fileSystem.delete(path, true);
    try {
      if (fileSystem.listStatus(path.getParent()).length == 0) {
        fileSystem.delete(path.getParent(), false);
      }
    } catch (FileNotFoundException e) {
      // It went with its last file, as in object stores.
    }
  }
}
