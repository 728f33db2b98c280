package io.github.kklip.store.shards;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Shard;
import io.github.kklip.store.publication.Digests;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Derived files that a run which did not come to its end may have left in a folder: no manifest
 * names them, and the next run need not make them again.
 *
 * @param names of all files of the folder
 */
public record UnnamedFiles(String folder, List<String> names) implements Serializable {
  private static final Logger LOG = LoggerFactory.getLogger(UnnamedFiles.class);

  /** Looks into a folder. */
  public static UnnamedFiles in(DatasetFolder dataset, Path folder) throws IOException {
    List<String> names = new ArrayList<>();
    try {
      for (FileStatus status : Storage.of(dataset.configuration(), folder).listStatus(folder)) {
        names.add(status.getPath().getName());
      }
    } catch (FileNotFoundException e) {
      // None.
    }
    names.sort(null);
    return new UnnamedFiles(folder.toString(), names);
  }

  /**
   * The whole file of a shard that was made alike, when there is one: all its bytes are read.
   *
   * @param made digest of what it must have been made with
   */
  public Optional<Path> find(DatasetFolder dataset, Shard pairs, RowFormat<?> format, String made)
      throws IOException {
    for (String name : names) {
      if (!name.startsWith(pairs.stem() + "-")) {
        continue;
      }
      Path file = new Path(folder, name);
      try (var reader = ShardReader.open(dataset.configuration(), file, format, pairs, made)) {
        if (reader.rows() == pairs.rows() && Digests.isInName(dataset.configuration(), file)) {
          return Optional.of(file);
        }
        LOG.warn("{} is not whole: its content is not what its name says", file);
      } catch (DamagedFileException | Footer.OtherOriginException e) {
        LOG.info("{} is of no use: {}", file, e.getMessage());
      } catch (FileNotFoundException e) {
        // It was removed since.
      }
    }
    return Optional.empty();
  }
}
