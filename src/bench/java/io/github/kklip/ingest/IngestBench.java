package io.github.kklip.ingest;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.image.Resample;
import io.github.kklip.image.RgbImage;
import io.github.kklip.ingest.sources.SourceFiles;
import io.github.kklip.store.publication.Json;
import java.io.BufferedOutputStream;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * Ingest against Pillow code on the same archives, in turn, in one run; and how much memory it
 * takes.
 *
 * <pre>
 * IngestBench speed IMAGES ROUNDS [PYTHON]    images/s on one and two cores
 * IngestBench stream GIGABYTES                one archive of that size, in the heap of -Xmx
 * IngestBench shards COUNT                    so many archives of one image: plan, ingest, nothing new
 * IngestBench members COUNT                   one archive of so many members of one byte
 * </pre>
 *
 * <p>Images are noisy JPEGs of 500 x 375; each is told from the others by bytes after its end.
 */
public final class IngestBench {
  private static final int WIDTH = 500;
  private static final int HEIGHT = 375;
  private static final int ARCHIVES = 8;
  private static final int PICTURES = 32;
  private static final List<byte[]> FILES = pictures();

  private IngestBench() {}

  public static void main(String[] arguments) throws Exception {
    Path folder = Files.createTempDirectory("kklip-ingest-");
    try {
      int size = Integer.parseInt(arguments[1]);
      Map<String, Object> result =
          switch (arguments[0]) {
            case "stream" -> stream(folder, size);
            case "shards" -> shards(folder, size);
            case "members" -> members(folder, size);
            case "speed" ->
                speed(
                    folder,
                    size,
                    Integer.parseInt(arguments[2]),
                    arguments.length > 3 ? arguments[3] : "");
            default -> throw new IllegalArgumentException("Cannot measure " + arguments[0]);
          };
      System.out.println("RESULT " + Json.line(result));
    } finally {
      remove(folder);
    }
  }

  private static void remove(Path folder) throws IOException {
    try (Stream<Path> files = Files.walk(folder)) {
      for (Path file : files.sorted(Comparator.reverseOrder()).toList()) {
        Files.delete(file);
      }
    }
  }

  private static List<byte[]> pictures() {
    List<byte[]> pictures = new ArrayList<>();
    SplitMix64 random = new SplitMix64(3);
    for (int p = 0; p < PICTURES; p++) {
      byte[] coarse = new byte[3 * 25 * 19];
      for (int i = 0; i < coarse.length; i++) {
        coarse[i] = (byte) random.nextInt(256);
      }
      byte[] rgb = Resample.to(new RgbImage(25, 19, coarse), WIDTH, HEIGHT).rgb();
      for (int i = 0; i < rgb.length; i++) {
        int value = (rgb[i] & 0xFF) + (int) (10 * random.nextGaussian());
        rgb[i] = (byte) Math.max(0, Math.min(255, value));
      }
      pictures.add(Resample.jpeg(new RgbImage(WIDTH, HEIGHT, rgb), 90));
    }
    return pictures;
  }

  private static long archive(Path file, long from, long count, long bytes) throws IOException {
    long written = 0;
    long images = 0;
    try (OutputStream out = new BufferedOutputStream(Files.newOutputStream(file), 1 << 20);
        TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
      while (images < count && written < bytes) {
        long number = from + images;
        byte[] picture = FILES.get((int) (number % PICTURES));
        byte[] unique = Arrays.copyOf(picture, picture.length + Long.BYTES);
        ByteBuffer.wrap(unique).putLong(picture.length, number);
        member(tar, number + ".jpg", unique);
        member(tar, number + ".txt", ("picture " + number).getBytes(StandardCharsets.UTF_8));
        written += unique.length;
        images++;
      }
    }
    return images;
  }

  private static void member(TarArchiveOutputStream tar, String name, byte[] data)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(data.length);
    tar.putArchiveEntry(entry);
    tar.write(data);
    tar.closeArchiveEntry();
  }

  private static JavaSparkContext spark(Path folder, int cores) {
    return new JavaSparkContext(
        new SparkConf()
            .setMaster("local[" + cores + "]")
            .setAppName("ingest bench")
            .set("spark.ui.enabled", "false")
            .set("spark.local.dir", folder.resolve("spark").toString())
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.driver.bindAddress", "127.0.0.1"));
  }

  private static Settings settings(Path folder) throws IOException {
    return Settings.load(
        List.of(),
        List.of(
            "dataset=" + folder.resolve("dataset"),
            "ingest.sources=[{format=webdataset, path=\"" + folder.resolve("in") + "\"}]"));
  }

  /** Seconds of one run. */
  private static double run(JavaSparkContext spark, Settings settings, long expected)
      throws IOException {
    long start = System.nanoTime();
    IngestResult result = IngestStage.run(spark, settings);
    double seconds = seconds(start);
    if (result.pairs() != expected) {
      throw new IllegalStateException("Cannot compare: " + result);
    }
    return seconds;
  }

  private static double seconds(long start) {
    return (System.nanoTime() - start) * 1e-9;
  }

  private static double ingest(Path folder, int cores, long expected) throws IOException {
    try (JavaSparkContext spark = spark(folder, cores)) {
      return run(spark, settings(folder), expected);
    } finally {
      remove(folder.resolve("dataset"));
    }
  }

  private static Map<String, Object> shards(Path folder, int count) throws IOException {
    Files.createDirectories(folder.resolve("in"));
    for (int a = 0; a < count; a++) {
      archive(folder.resolve("in/%06d.tar".formatted(a)), a, 1, Long.MAX_VALUE);
    }
    Settings settings = settings(folder);
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("shards", count);
    long start = System.nanoTime();
    int listed = SourceFiles.of(new Configuration(), 0, settings.ingest().sources().get(0)).size();
    result.put("list_seconds", seconds(start));
    if (listed != count) {
      throw new IllegalStateException("Cannot compare: " + listed);
    }
    try (JavaSparkContext spark = spark(folder, 2)) {
      result.put("ingest_seconds", run(spark, settings, count));
      result.put("nothing_new_seconds", run(spark, settings, 0));
      archive(folder.resolve("in/new.tar"), count, 1, Long.MAX_VALUE);
      result.put("one_new_seconds", run(spark, settings, 1));
    }
    return result;
  }

  private static Map<String, Object> members(Path folder, int count) throws IOException {
    Files.createDirectories(folder.resolve("in"));
    try (OutputStream out =
            new BufferedOutputStream(Files.newOutputStream(folder.resolve("in/a.tar")), 1 << 20);
        TarArchiveOutputStream tar = new TarArchiveOutputStream(out)) {
      for (int i = 0; i < count; i++) {
        member(tar, i + ".bin", new byte[1]);
      }
    }
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("members", count);
    result.put("seconds", ingest(folder, 2, 0));
    return result;
  }

  private static Map<String, Object> stream(Path folder, int gigabytes) throws IOException {
    Files.createDirectories(folder.resolve("in"));
    long bytes = gigabytes * 1_000_000_000L;
    // The archive, the decoded candidates and the shards that they are sorted into.
    long space = Files.getFileStore(folder).getUsableSpace();
    if (space < 5 * bytes) {
      throw new IOException(
          "Cannot make an archive of " + gigabytes + " GB: " + space + " bytes are free.");
    }
    long images = archive(folder.resolve("in/huge.tar"), 0, Long.MAX_VALUE, bytes);
    double seconds = ingest(folder, 2, images);
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("gigabytes", gigabytes);
    result.put("images", images);
    result.put("heap_mib", Runtime.getRuntime().maxMemory() >> 20);
    result.put("seconds", seconds);
    result.put("images_per_s", images / seconds);
    return result;
  }

  private static Map<String, Object> speed(Path folder, int images, int rounds, String python)
      throws IOException {
    Files.createDirectories(folder.resolve("in"));
    int each = images / ARCHIVES;
    for (int a = 0; a < ARCHIVES; a++) {
      archive(folder.resolve("in/%d.tar".formatted(a)), (long) a * each, each, Long.MAX_VALUE);
    }
    int all = each * ARCHIVES;
    Map<String, List<Double>> rates = new TreeMap<>();
    for (int round = -1; round < rounds; round++) {
      for (int cores = 1; cores <= 2; cores++) {
        double ours = ingest(folder, cores, all);
        double peer = python.isEmpty() ? 0 : pillow(folder, python, cores, all);
        if (round >= 0) {
          rates.computeIfAbsent("kklip_" + cores, k -> new ArrayList<>()).add(all / ours);
          rates.computeIfAbsent("pillow_" + cores, k -> new ArrayList<>()).add(all / peer);
        }
      }
    }
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("images", all);
    rates.forEach((side, list) -> result.put(side + "_images_per_s", median(list)));
    for (int cores = 1; cores <= 2; cores++) {
      result.put(
          "kklip/pillow_" + cores,
          median(rates.get("kklip_" + cores)) / median(rates.get("pillow_" + cores)));
    }
    result.put("kklip_2/1", median(rates.get("kklip_2")) / median(rates.get("kklip_1")));
    return result;
  }

  private static double median(List<Double> values) {
    double[] sorted = values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }

  private static double pillow(Path folder, String python, int processes, int expected)
      throws IOException {
    Path output = Files.createDirectories(folder.resolve("pillow"));
    Process process =
        new ProcessBuilder(
                python,
                Path.of("src", "test", "python", "ingest_peer.py").toString(),
                Integer.toString(processes),
                folder.resolve("in").toString(),
                output.toString())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    try (BufferedReader answers = process.inputReader(StandardCharsets.UTF_8);
        PrintStream orders =
            new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8)) {
      if (!"READY".equals(answers.readLine())) {
        throw new IOException("Cannot start " + python);
      }
      orders.println();
      Map<?, ?> answer = Json.parse(answers.readLine(), Map.class);
      if (((Number) answer.get("images")).intValue() != expected) {
        throw new IllegalStateException("Cannot compare: " + answer);
      }
      return ((Number) answer.get("seconds")).doubleValue();
    } finally {
      process.destroy();
      remove(output);
    }
  }
}
