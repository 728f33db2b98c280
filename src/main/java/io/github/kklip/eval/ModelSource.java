package io.github.kklip.eval;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.image.PreprocessorConfig;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.OpenClipFolder;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.publication.LocalCopy;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * A trained model as a local Hugging Face folder: such a folder itself, or the newest whole
 * checkpoint of a run. What had to be fetched is removed by {@link #close}.
 *
 * @param location where the model is, for people
 * @param folder local folder with {@code config.json} and weights
 */
public record ModelSource(String location, java.nio.file.Path folder, Closeable fetched)
    implements Closeable {

  public static ModelSource open(String model, Configuration configuration) throws IOException {
    Path path = Storage.path(model, configuration);
    FileSystem files = Storage.of(configuration, path);
    requireFolder(files, path);
    OpenClipFolder.refuse(files, path);
    if (!files.exists(new Path(path, "config.json"))) {
      Checkpoint checkpoint = CheckpointStore.newest(model, configuration);
      return new ModelSource(checkpoint.location(), checkpoint.folder(), checkpoint::close);
    }
    LocalCopy copy = LocalCopy.of(configuration, model, name -> true);
    return new ModelSource(path.toString(), copy.path(), copy);
  }

  /**
   * Refuses what cannot be opened, without reading weights: a folder that is not there, a CLIP
   * folder without a shape or weights, a run without a checkpoint.
   *
   * @return whether a tokenizer comes with the model
   */
  static boolean check(String model, Configuration configuration) throws IOException {
    Path path = Storage.path(model, configuration);
    FileSystem files = Storage.of(configuration, path);
    requireFolder(files, path);
    OpenClipFolder.refuse(files, path);
    if (!files.exists(new Path(path, "config.json"))) {
      CheckpointStore.requireSome(model, configuration);
      return true;
    }
    try (InputStream in = files.open(new Path(path, "config.json"))) {
      ClipConfig shape = ClipConfig.read(in, path + "/config.json");
      var unused = PreprocessorConfig.read(model, configuration, shape.vision().image());
    }
    Safetensors.requireFiles(configuration, model);
    return StudentTokenizer.isIn(model, configuration);
  }

  private static void requireFolder(FileSystem files, Path path) throws IOException {
    if (!files.exists(path)) {
      throw new SettingsException(
          message(
              "Cannot evaluate %s because there is no such folder. Set evaluate.model to a run's folder or to a Hugging Face CLIP folder.",
              path));
    }
  }

  @Override
  public void close() throws IOException {
    fetched.close();
  }
}
