package io.github.kklip.bench;

import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.Preprocess;
import io.github.kklip.image.Preprocessing;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;

/**
 * Decodes and preprocesses images to 224 pixels on one thread: four times the folder is a block.
 */
final class ImageWorker implements Worker {
  private static final int ROUNDS = 4;

  private final List<byte[]> files = new ArrayList<>();
  private final Preprocess preprocess = new Preprocess(Preprocessing.clip(224));
  private final FloatBuffer out =
      ByteBuffer.allocateDirect(4 * preprocess.length())
          .order(ByteOrder.nativeOrder())
          .asFloatBuffer();
  private boolean warm;

  ImageWorker(Path folder) throws Exception {
    try (Stream<Path> paths = Files.list(folder)) {
      for (Path path : paths.sorted().toList()) {
        files.add(Files.readAllBytes(path));
      }
    }
  }

  @Override
  public Map<String, Object> block() throws Exception {
    // The compiler needs some thousand images.
    int rounds = warm ? ROUNDS : 8 * ROUNDS;
    warm = true;
    for (int round = 0; round < rounds; round++) {
      for (byte[] file : files) {
        preprocess.apply(ImageDecoder.decode(file), out, 0);
      }
    }
    return Map.of("items", rounds * files.size());
  }

  @Override
  public void close() {}
}
