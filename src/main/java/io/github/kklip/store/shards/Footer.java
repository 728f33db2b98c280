package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Shard;
import java.io.IOException;
import java.util.Map;
import org.apache.hadoop.fs.Path;

/**
 * What the footer of a derived file says of its origin.
 *
 * @param settingsDigest of the settings that it was made with
 * @param identity of the pair shard whose rows it follows
 */
record Footer(String settingsDigest, String identity) {
  static final String IDENTITY = "kklip.identity";
  static final String BLOCKS = "kklip.blocks";
  static final String SETTINGS = "kklip.settings";

  /** The file was made from other rows or with other settings. */
  static final class OtherOriginException extends IOException {
    private static final long serialVersionUID = 1L;

    OtherOriginException(String message) {
      super(message);
    }
  }

  /** Refuses a file that was made with other settings or from other pairs. */
  void require(RowGroupReader reader, Path path, Shard shard) throws IOException {
    Map<String, String> metadata = reader.metadata();
    String why = null;
    if (!settingsDigest.equals(metadata.get(SETTINGS))) {
      why =
          message(
              "it was made with other settings: their digest is %s, not %s",
              metadata.get(SETTINGS), settingsDigest);
    } else if (!identity.equals(metadata.get(IDENTITY))) {
      why =
          message(
              "it belongs to other pairs: their identity is %s, not %s",
              metadata.get(IDENTITY), identity);
    } else if (reader.rows() != shard.rows()) {
      why = "it has " + reader.rows() + " rows, and the shard has " + shard.rows();
    }
    if (why != null) {
      throw new OtherOriginException(
          message(
              "Cannot use %s because %s. It is not the file that the dataset's manifest names: bring that back.",
              path, why));
    }
  }
}
