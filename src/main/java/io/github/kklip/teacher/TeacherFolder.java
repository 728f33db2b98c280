package io.github.kklip.teacher;

import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.store.Identity;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HexFormat;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** The files of a Hugging Face Llama folder that a teacher is made of, on any file system. */
public final class TeacherFolder {
  private static final Set<String> SMALL =
      Set.of("config.json", "tokenizer.json", "tokenizer.model", "tokenizer_config.json");

  /** Places of a file of weights that its identity looks at, and the bytes of each. */
  private static final int SAMPLES = 64;

  private static final int SAMPLE_BYTES = 1 << 16;

  private TeacherFolder() {}

  /** True for the files that are needed besides the weights. */
  public static boolean isSmall(String fileName) {
    return SMALL.contains(fileName);
  }

  /** True for all files that are needed. */
  public static boolean isNeeded(String fileName) {
    return isSmall(fileName) || Safetensors.isFile(fileName);
  }

  /**
   * What tells this teacher from another: a hash of the needed files' names, sizes and bytes; of
   * large files, of bytes at 64 places, so that it takes no time at any size.
   *
   * @throws IOException when the folder is missing or cannot be read
   */
  public static String identity(Configuration configuration, String folder) throws IOException {
    Path path = Storage.path(folder, configuration);
    FileSystem fileSystem = Storage.of(configuration, path);
    FileStatus[] files = fileSystem.listStatus(path, file -> isNeeded(file.getName()));
    Arrays.sort(files, Comparator.comparing(file -> file.getPath().getName()));
    MessageDigest digest = Identity.sha256();
    for (FileStatus file : files) {
      long length = file.getLen();
      digest.update(
          (file.getPath().getName() + ":" + length + ":").getBytes(StandardCharsets.UTF_8));
      try (FSDataInputStream in = fileSystem.open(file.getPath())) {
        if (length <= (long) SAMPLES * SAMPLE_BYTES) {
          digest.update(in.readAllBytes());
        } else {
          byte[] sample = new byte[SAMPLE_BYTES];
          for (int i = 0; i < SAMPLES; i++) {
            in.readFully((length - SAMPLE_BYTES) / (SAMPLES - 1) * i, sample);
            digest.update(sample);
          }
        }
      }
    }
    return HexFormat.of().formatHex(digest.digest(), 0, 16);
  }
}
