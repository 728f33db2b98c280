package io.github.kklip.image;

import java.lang.management.ManagementFactory;
import java.lang.management.ThreadMXBean;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Times decoding and preprocessing to 224 pixels on one thread; one line of JSON.
 * src/test/python/image_bench.py runs it in turn with Pillow.
 *
 * <p>Arguments: folder of images, seconds. The first half of the time is for the compiler.
 */
final class ImageBench {
  private ImageBench() {}

  public static void main(String[] arguments) throws Exception {
    List<byte[]> files = new ArrayList<>();
    try (Stream<Path> paths = Files.list(Path.of(arguments[0]))) {
      for (Path path : paths.sorted().toList()) {
        files.add(Files.readAllBytes(path));
      }
    }
    Preprocess preprocess = new Preprocess(224);
    FloatBuffer out =
        ByteBuffer.allocateDirect(4 * preprocess.length())
            .order(ByteOrder.nativeOrder())
            .asFloatBuffer();
    long half = (long) (Double.parseDouble(arguments[1]) * 0.5e9);
    run(files, preprocess, out, half);
    System.out.println(run(files, preprocess, out, half));
  }

  private static String run(
      List<byte[]> files, Preprocess preprocess, FloatBuffer out, long nanoseconds)
      throws ImageRejectedException {
    ThreadMXBean threads = ManagementFactory.getThreadMXBean();
    long decoding = 0;
    long preparing = 0;
    int images = 0;
    long start = System.nanoTime();
    for (; System.nanoTime() - start < nanoseconds; images++) {
      long before = threads.getCurrentThreadCpuTime();
      RgbImage image = ImageDecoder.decode(files.get(images % files.size()));
      long decoded = threads.getCurrentThreadCpuTime();
      preprocess.apply(image, out, 0);
      decoding += decoded - before;
      preparing += threads.getCurrentThreadCpuTime() - decoded;
    }
    double wall = (System.nanoTime() - start) / 1e9;
    return ("{\"side\": \"kklip\", \"decode_ms\": %.3f, \"preprocess_ms\": %.3f,"
            + " \"images_per_cpu_s\": %.1f, \"images_per_s\": %.1f}")
        .formatted(
            decoding / 1e6 / images,
            preparing / 1e6 / images,
            1e9 * images / (decoding + preparing),
            images / wall);
  }
}
