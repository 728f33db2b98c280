package io.github.kklip.model;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * A folder of open_clip, which names tensors otherwise than transformers and has no {@code
 * config.json}.
 */
public final class OpenClipFolder {
  private static final String CONFIG = "open_clip_config.json";

  private OpenClipFolder() {}

  /**
   * Refuses a folder that holds open_clip's model and not transformers' as well.
   *
   * @throws SettingsException when it does
   */
  public static void refuse(FileSystem files, Path folder) throws IOException {
    if (!files.exists(new Path(folder, ClipConfig.FILE))
        && files.exists(new Path(folder, CONFIG))) {
      throw new SettingsException(
          message(
              "Cannot use %s because it is a folder of open_clip (%s), whose tensors have other names, and CLIP folders of transformers are read. Take the model in that form, with config.json and model.safetensors, as most of them are published, too; or copy its weights into a CLIPModel in Python and write it by save_pretrained.",
              folder, CONFIG));
    }
  }
}
