package io.github.kklip.train.plan;

import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.Identity;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;

/** SHA-256 of the files that a run begins with: a path says where they are, not what they are. */
final class InputDigests {
  private InputDigests() {}

  /** Of a tokenizer's {@code tokenizer.json}, which alone decides the ids. */
  static String ofTokenizer(String folder, Configuration configuration) throws IOException {
    var path = new org.apache.hadoop.fs.Path(Storage.path(folder, configuration), "tokenizer.json");
    try (InputStream in = Storage.of(configuration, path).open(path)) {
      return Identity.ofBytes(in);
    }
  }

  /** Of the weights of a Hugging Face folder and its {@code config.json}; empty: none. */
  static String ofStudent(String folder) throws IOException {
    if (folder.isEmpty()) {
      return "none";
    }
    StringBuilder digests = new StringBuilder(ofFile(Path.of(folder, "config.json")));
    for (Path file : Safetensors.open(Path.of(folder)).files()) {
      digests.append(' ').append(ofFile(file));
    }
    return Identity.ofBytes(digests.toString().getBytes(StandardCharsets.US_ASCII));
  }

  private static String ofFile(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      return Identity.ofBytes(in);
    }
  }
}
