package io.github.kklip.train.plan;

import io.github.kklip.image.Preprocessing;
import io.github.kklip.image.PreprocessorConfig;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipWeights;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.Identity;
import io.github.kklip.store.publication.LocalCopy;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.text.StudentTokenizer;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;

/** SHA-256 of the files that a run begins with: a path says where they are, not what they are. */
final class InputDigests {
  /** Where the weights are random. */
  static final String NO_STUDENT = "none";

  private InputDigests() {}

  /** Of a tokenizer's {@code tokenizer.json}, or that which is made of its vocabulary. */
  static String ofTokenizer(String folder, Configuration configuration) throws IOException {
    var path =
        new org.apache.hadoop.fs.Path(Storage.path(folder, configuration), StudentTokenizer.FILE);
    try (InputStream in = Storage.of(configuration, path).open(path)) {
      return Identity.ofBytes(in);
    } catch (FileNotFoundException e) {
      String made = StudentTokenizer.json(folder, configuration);
      return Identity.ofBytes(made.getBytes(StandardCharsets.UTF_8));
    }
  }

  /**
   * Of the weights of a Hugging Face folder, its {@code config.json}, and its preprocessing where
   * that is not CLIP's; empty: none.
   */
  static String ofStudent(String folder, Configuration configuration) throws IOException {
    if (folder.isEmpty()) {
      return NO_STUDENT;
    }
    try (LocalCopy copy = LocalCopy.of(configuration, folder, ClipWeights::isFile)) {
      StringBuilder digests = new StringBuilder(ofFile(copy.path().resolve(ClipConfig.FILE)));
      for (Path file : Safetensors.open(copy.path()).files()) {
        digests.append(' ').append(ofFile(file));
      }
      int side = ClipConfig.read(copy.path().toString()).vision().image();
      Preprocessing preprocessing = PreprocessorConfig.read(folder, configuration, side);
      if (!preprocessing.equals(Preprocessing.clip(side))) {
        digests.append(' ').append(Identity.ofBytes(preprocessing.json()));
      }
      return Identity.ofBytes(digests.toString().getBytes(StandardCharsets.US_ASCII));
    }
  }

  private static String ofFile(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return Identity.ofBytes(in);
    }
  }
}
