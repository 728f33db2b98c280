package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import org.apache.hadoop.fs.Path;

/** A folder that is no whole checkpoint. A store that cannot be read is none of these. */
final class TornCheckpointException extends IOException {
  private static final long serialVersionUID = 1L;

  TornCheckpointException(Path checkpoint, String reason, Throwable cause) {
    super(message("Cannot use the checkpoint %s because %s.", checkpoint, reason), cause);
  }
}
