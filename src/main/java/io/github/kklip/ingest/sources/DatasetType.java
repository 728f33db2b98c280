package io.github.kklip.ingest.sources;

import io.github.kklip.store.publication.AccessDenied;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.Locale;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * The kind of a dataset in CLIP_benchmark's form: {@code dataset_type.txt} beside the archives or
 * in the folder above says {@code retrieval} where each line of a text is a caption.
 */
final class DatasetType {
  private static final String FILE = "dataset_type.txt";
  private static final int MAX_BYTES = 1024;

  private DatasetType() {}

  /**
   * Whether a folder's texts are captions line by line.
   *
   * @throws RawInput.Failure when the file system fails
   */
  static boolean isRetrieval(Configuration configuration, Path folder) throws IOException {
    for (Path place : Arrays.asList(folder, folder.getParent())) {
      String type = place == null ? null : type(configuration, new Path(place, FILE));
      if (type != null) {
        return type.equals("retrieval");
      }
    }
    return false;
  }

  private static String type(Configuration configuration, Path file) throws IOException {
    try (RawInput in = RawInput.open(configuration, file, 0)) {
      return new String(in.readNBytes(MAX_BYTES), StandardCharsets.UTF_8)
          .strip()
          .toLowerCase(Locale.ROOT);
    } catch (RawInput.OpeningException e) {
      return null;
    } catch (RawInput.Failure e) {
      // A bucket may let its reader see one folder alone.
      if (AccessDenied.is(e)) {
        return null;
      }
      throw e;
    }
  }
}
