package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.publication.ConditionalCreate;
import io.github.kklip.store.publication.Digests;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/**
 * A training run that uses files of a dataset: {@code _runs/NAME.json}, which the run creates
 * before its first step and nobody changes. What its manifest and its checkpoints name is not
 * removed.
 *
 * @param output folder of the run, which holds its checkpoints
 * @param manifest number of the manifest that it began with
 */
public record RegisteredRun(String output, long manifest) {
  /** Its name begins with an underscore, so that readers of Parquet folders pass it over. */
  public static final String FOLDER = "_runs";

  private static final String END = ".json";

  public RegisteredRun {
    if (output == null || output.isEmpty() || manifest < 0) {
      throw new IllegalArgumentException(message("output = %s, manifest = %s", output, manifest));
    }
  }

  /** The name of the file without its end: equal runs have equal names. */
  public String name() {
    return Digests.of(message("%s %s", manifest, output).getBytes(StandardCharsets.UTF_8));
  }

  /** The folder of the runs. */
  public static Path folder(DatasetFolder dataset) {
    return new Path(dataset.root(), FOLDER);
  }

  /**
   * Registers the run, unless it is.
   *
   * @throws IOException also when this user may only read the dataset
   */
  public void register(DatasetFolder dataset) throws IOException {
    Path file = file(dataset, name());
    if (!Storage.of(dataset.configuration(), file).exists(file)) {
      ConditionalCreate.create(dataset.configuration(), file, Json.pretty(this));
    }
  }

  /**
   * All runs that are registered, by name.
   *
   * @throws IOException naming the file, when one of them is damaged
   */
  public static SortedMap<String, RegisteredRun> list(DatasetFolder dataset) throws IOException {
    SortedMap<String, RegisteredRun> runs = new TreeMap<>();
    for (String name : names(dataset)) {
      Json.readIfPresent(dataset.configuration(), file(dataset, name), RegisteredRun.class)
          .ifPresent(run -> runs.put(name, run));
    }
    return runs;
  }

  /**
   * The run of a name.
   *
   * @throws IOException when it is damaged or not there
   */
  public static RegisteredRun read(DatasetFolder dataset, String name) throws IOException {
    Path file = file(dataset, name);
    return Json.readIfPresent(dataset.configuration(), file, RegisteredRun.class)
        .orElseThrow(() -> new FileNotFoundException(message("There is no %s.", file)));
  }

  /** The names of all runs that are registered, also of those that cannot be read. */
  public static List<String> names(DatasetFolder dataset) throws IOException {
    List<String> names = new ArrayList<>();
    Path folder = folder(dataset);
    try {
      for (FileStatus status : Storage.of(dataset.configuration(), folder).listStatus(folder)) {
        String name = status.getPath().getName();
        if (name.endsWith(END) && !name.startsWith(".")) {
          names.add(name.substring(0, name.length() - END.length()));
        }
      }
    } catch (FileNotFoundException e) {
      // None.
    }
    return names;
  }

  /** Removes the registration of a name: the run's files are no longer kept for it. */
  public static void forget(DatasetFolder dataset, String name) throws IOException {
    Path file = file(dataset, name);
    Storage.of(dataset.configuration(), file).delete(file, false);
  }

  private static Path file(DatasetFolder dataset, String name) {
    return new Path(folder(dataset), name + END);
  }
}
