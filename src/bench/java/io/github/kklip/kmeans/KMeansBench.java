package io.github.kklip.kmeans;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.concept.SparkRows;
import io.github.kklip.config.Seeds;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.store.publication.Json;
import io.github.kklip.tensor.Torch;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.ml.clustering.KMeans;
import org.apache.spark.ml.clustering.KMeansModel;
import org.apache.spark.ml.linalg.Vector;
import org.apache.spark.ml.linalg.VectorUDT;
import org.apache.spark.ml.linalg.Vectors;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.types.Metadata;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.storage.StorageLevel;

/**
 * K-means of this project, of Spark MLlib and of faiss on the same rows, in turn, in one run.
 *
 * <pre>KMeansBench speed|quality ROWS DIMENSION K ITERATIONS ROUNDS [PYTHON]</pre>
 *
 * <p>{@code speed} prints seconds for an iteration and their ratios. MLlib gets its best set-up
 * ({@code spark.ml}, solver {@code block}, and native BLAS when {@code
 * -Ddev.ludovic.netlib.blas.nativeLibPath} names one), and of its time only what a longer run takes
 * more than a short one, so that neither its start nor the copying of its input counts. ROUNDS 0
 * runs this project's side once, for more rows than MLlib can hold. {@code quality} prints the
 * final costs from every side's own start, for ROUNDS seeds. The rows are k seeded Gaussian
 * clusters that overlap.
 */
public final class KMeansBench {
  private static final int SHORT = 1;

  private final int rows;
  private final int dimension;
  private final int k;
  private final int iterations;
  private final Path folder;
  private final JavaSparkContext spark;

  private KMeansBench(String[] arguments, Path folder, JavaSparkContext spark) {
    this.rows = Integer.parseInt(arguments[1]);
    this.dimension = Integer.parseInt(arguments[2]);
    this.k = Integer.parseInt(arguments[3]);
    this.iterations = Integer.parseInt(arguments[4]);
    this.folder = folder;
    this.spark = spark;
  }

  public static void main(String[] arguments) throws Exception {
    Path folder = Files.createTempDirectory("kklip-kmeans-");
    SparkConf conf =
        new SparkConf()
            .setMaster("local[2]")
            .setAppName("k-means bench")
            .set("spark.ui.enabled", "false")
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.driver.bindAddress", "127.0.0.1");
    try (JavaSparkContext spark = new JavaSparkContext(conf)) {
      KMeansBench bench = new KMeansBench(arguments, folder, spark);
      bench.generate();
      int rounds = Integer.parseInt(arguments[5]);
      try (Peer faiss = arguments.length > 6 ? bench.new Peer(arguments[6]) : null) {
        Map<String, Object> result =
            arguments[0].equals("quality")
                ? bench.quality(rounds, faiss)
                : rounds == 0 ? bench.alone() : bench.speed(rounds, faiss);
        System.out.println("RESULT " + Json.line(result));
      }
    } finally {
      try (var files = Files.list(folder)) {
        for (Path file : files.toList()) {
          Files.delete(file);
        }
      }
      Files.delete(folder);
    }
  }

  private Path file() {
    return folder.resolve("rows.f32");
  }

  private Path startFile() {
    return folder.resolve("start.f32");
  }

  private void generate() throws IOException {
    float[] means = gaussian(Seeds.derive(7, "means"), k * dimension, 1);
    try (FileChannel out = create(file())) {
      for (int from = 0; from < rows; from += VectorBlock.ROWS) {
        int count = Math.min(VectorBlock.ROWS, rows - from);
        float[] values = gaussian(Seeds.derive(7, "rows", from), count * dimension, 1.5);
        SplitMix64 cluster = new SplitMix64(Seeds.derive(7, "clusters", from));
        for (int row = 0; row < count; row++) {
          int mean = (int) (cluster.nextDouble() * k) * dimension;
          for (int j = 0; j < dimension; j++) {
            values[row * dimension + j] += means[mean + j];
          }
        }
        write(out, values);
      }
    }
    float[] start = new float[k * dimension];
    SplitMix64 choice = new SplitMix64(Seeds.derive(7, "start"));
    int[] chosen = new int[rows];
    Arrays.setAll(chosen, i -> i);
    for (int c = 0; c < k; c++) {
      int other = c + (int) (choice.nextDouble() * (rows - c));
      int row = chosen[other];
      chosen[other] = chosen[c];
      System.arraycopy(read(file(), row, 1), 0, start, c * dimension, dimension);
    }
    try (FileChannel out = create(startFile())) {
      write(out, start);
    }
  }

  private static float[] gaussian(long seed, int count, double deviation) {
    SplitMix64 random = new SplitMix64(seed);
    float[] values = new float[count];
    for (int i = 0; i < count; i += 2) {
      double radius = deviation * Math.sqrt(-2 * Math.log(1 - random.nextDouble()));
      double angle = 2 * Math.PI * random.nextDouble();
      values[i] = (float) (radius * Math.cos(angle));
      if (i + 1 < count) {
        values[i + 1] = (float) (radius * Math.sin(angle));
      }
    }
    return values;
  }

  private static FileChannel create(Path file) throws IOException {
    return FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
  }

  private static void write(FileChannel out, float[] values) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.asFloatBuffer().put(values);
    while (bytes.hasRemaining()) {
      out.write(bytes);
    }
  }

  private float[] read(Path file, int row, int count) throws IOException {
    return read(file.toString(), row, count, dimension);
  }

  private static float[] read(String file, int row, int count, int dimension) throws IOException {
    float[] values = new float[count * dimension];
    ByteBuffer bytes = ByteBuffer.allocate(4 * values.length).order(ByteOrder.LITTLE_ENDIAN);
    try (FileChannel in = FileChannel.open(Path.of(file))) {
      while (bytes.hasRemaining() && in.read(bytes, 4L * row * dimension + bytes.position()) > 0) {}
    }
    bytes.flip();
    bytes.asFloatBuffer().get(values);
    return values;
  }

  private Centres start() throws IOException {
    return new Centres(k, dimension, read(startFile(), 0, k));
  }

  private SparkRows sparkRows() {
    String path = file().toString();
    int all = rows;
    int width = dimension;
    List<Integer> firsts =
        IntStream.iterate(0, from -> from < rows, from -> from + VectorBlock.ROWS).boxed().toList();
    JavaRDD<VectorBlock> blocks =
        spark
            .parallelize(firsts, SparkRows.partitions(4L * rows * dimension, 2))
            .map(
                from -> {
                  int count = Math.min(VectorBlock.ROWS, all - from);
                  long[] keys = new long[count];
                  Arrays.setAll(keys, i -> Seeds.derive(1, "id", from + i));
                  return new VectorBlock(0, from, keys, read(path, from, count, width));
                });
    return SparkRows.of(spark, blocks, 1);
  }

  private Dataset<Row> vectors() {
    String path = file().toString();
    int all = rows;
    int width = dimension;
    List<Integer> firsts =
        IntStream.iterate(0, from -> from < rows, from -> from + VectorBlock.ROWS).boxed().toList();
    JavaRDD<Row> vectors =
        spark
            .parallelize(firsts, 2)
            .flatMap(
                from -> {
                  int count = Math.min(VectorBlock.ROWS, all - from);
                  float[] values = read(path, from, count, width);
                  List<Row> list = new ArrayList<>();
                  for (int row = 0; row < count; row++) {
                    double[] vector = new double[width];
                    for (int j = 0; j < width; j++) {
                      vector[j] = values[row * width + j];
                    }
                    list.add(RowFactory.create(Vectors.dense(vector)));
                  }
                  return list.iterator();
                });
    StructType schema =
        new StructType(
            new StructField[] {
              new StructField("features", new VectorUDT(), false, Metadata.empty())
            });
    Dataset<Row> data =
        SparkSession.builder()
            .sparkContext(spark.sc())
            .getOrCreate()
            .createDataFrame(vectors, schema)
            .persist(StorageLevel.MEMORY_ONLY());
    data.count();
    return data;
  }

  private KMeansModel mllib(Dataset<Row> vectors, int most, String start, long seed) {
    return new KMeans()
        .setK(k)
        .setSolver("block")
        .setInitMode(start)
        .setSeed(seed)
        .setTol(0)
        .setMaxIter(most)
        .fit(vectors);
  }

  private Map<String, Object> alone() throws IOException {
    try (SparkRows data = sparkRows()) {
      RowStatistics totals = RowStatistics.of(data);
      Lloyd.Engine engine = Lloyd.gemm(data, totals);
      Centres centres = engine.step(start()).centres();
      List<Double> seconds = new ArrayList<>();
      for (int i = 0; i < iterations; i++) {
        long begun = System.nanoTime();
        centres = engine.step(centres).centres();
        seconds.add((System.nanoTime() - begun) * 1e-9);
      }
      Map<String, Object> result = new LinkedHashMap<>();
      result.put("rows", rows);
      result.put("dimension", dimension);
      result.put("k", k);
      result.put("heap_mib", Runtime.getRuntime().maxMemory() >> 20);
      double floor = floor();
      result.put("kklip_s", median(seconds));
      result.put("multiply_floor_s", floor);
      result.put("ratio_to_floor", median(seconds) / floor);
      result.put("peak_rss_mib", peakRss());
      return result;
    }
  }

  /** VmHWM of this process, the heap included, in MiB. */
  private static long peakRss() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
      if (line.startsWith("VmHWM:")) {
        return Long.parseLong(line.replaceAll("\\D", "")) >> 10;
      }
    }
    throw new IOException("Cannot read the peak of memory: /proc/self/status has no VmHWM.");
  }

  /** The products of an iteration alone, two at a time: what no engine can be faster than. */
  private double floor() throws IOException {
    Centres centres = start();
    List<Double> seconds = new ArrayList<>();
    for (int round = 0; round < 3; round++) {
      List<Thread> threads = new ArrayList<>();
      long begun = System.nanoTime();
      for (int t = 0; t < 2; t++) {
        Thread thread =
            new Thread(
                () -> {
                  Torch.start(1);
                  try (NDManager manager = Torch.manager()) {
                    NDArray c = manager.create(centres.values(), new Shape(k, dimension));
                    NDArray half = manager.zeros(new Shape(k));
                    NDArray x =
                        manager.create(
                            read(file(), 0, VectorBlock.ROWS),
                            new Shape(VectorBlock.ROWS, dimension));
                    for (int i = 0; i < rows / VectorBlock.ROWS / 2; i++) {
                      Torch.module("kmeans/kmeans").call(manager, "scores", x, c, half).close();
                    }
                  } catch (IOException e) {
                    throw new java.io.UncheckedIOException(e);
                  }
                });
        thread.start();
        threads.add(thread);
      }
      for (Thread thread : threads) {
        join(thread);
      }
      seconds.add((System.nanoTime() - begun) * 1e-9);
    }
    return median(seconds);
  }

  private static void join(Thread thread) {
    try {
      thread.join();
    } catch (InterruptedException e) {
      throw new IllegalStateException(e);
    }
  }

  private Map<String, Object> speed(int rounds, Peer faiss) throws IOException {
    Map<String, List<Double>> seconds = new TreeMap<>();
    Dataset<Row> vectors = vectors();
    double cost = 0;
    double faissCost = 0;
    try (SparkRows data = sparkRows()) {
      Lloyd.Engine engine = Lloyd.gemm(data, RowStatistics.of(data));
      for (int round = -1; round < rounds; round++) {
        Lloyd.LloydResult ours = Lloyd.run(engine, start(), iterations, -1);
        cost = cost(data, ours.centres());
        add(round, seconds, "kklip_s", ours.secondsPerIteration());
        if (faiss != null) {
          add(round, seconds, "faiss_s", faiss.run(iterations, -1) / iterations);
          faissCost = cost(data, faiss.centres());
        }
        long begun = System.nanoTime();
        mllib(vectors, SHORT, "random", 1);
        long between = System.nanoTime();
        mllib(vectors, SHORT + iterations, "random", 1);
        long end = System.nanoTime();
        add(round, seconds, "mllib_s", ((end - between) - (between - begun)) * 1e-9 / iterations);
        add(round, seconds, "mllib_whole_s", (end - between) * 1e-9 / (SHORT + iterations));
      }
    }
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("rows", rows);
    result.put("dimension", dimension);
    result.put("k", k);
    seconds.forEach((side, times) -> result.put(side, median(times)));
    result.put("multiply_floor_s", floor());
    double ours = median(seconds.get("kklip_s"));
    result.put("mllib/kklip", median(seconds.get("mllib_s")) / ours);
    result.put("mllib_whole/kklip", median(seconds.get("mllib_whole_s")) / ours);
    if (faiss != null) {
      result.put("faiss/kklip", median(seconds.get("faiss_s")) / ours);
      result.put("cost/faiss_cost", cost / faissCost);
    }
    return result;
  }

  private static void add(int round, Map<String, List<Double>> seconds, String side, double time) {
    // The first round warms up.
    if (round >= 0) {
      seconds.computeIfAbsent(side, s -> new ArrayList<>()).add(time);
    }
  }

  private Map<String, Object> quality(int seeds, Peer faiss) throws IOException {
    Map<String, List<Double>> costs = new TreeMap<>();
    Dataset<Row> vectors = vectors();
    try (SparkRows data = sparkRows()) {
      RowStatistics totals = RowStatistics.of(data);
      for (int seed = 1; seed <= seeds; seed++) {
        Centres start = ParallelStart.centres(data, totals, k, 2, seed);
        Lloyd.LloydResult ours = Lloyd.run(Lloyd.gemm(data, totals), start, iterations, 0);
        add(0, costs, "kklip", cost(data, ours.centres()));
        if (faiss != null) {
          faiss.run(iterations, seed);
          add(0, costs, "faiss", cost(data, faiss.centres()));
        }
        Vector[] mllib = mllib(vectors, iterations, "k-means||", seed).clusterCenters();
        List<float[]> centres = new ArrayList<>();
        for (Vector centre : mllib) {
          float[] values = new float[dimension];
          for (int j = 0; j < dimension; j++) {
            values[j] = (float) centre.apply(j);
          }
          centres.add(values);
        }
        add(0, costs, "mllib", cost(data, Centres.of(centres)));
      }
    }
    Map<String, Object> result = new LinkedHashMap<>();
    result.put("rows", rows);
    result.put("dimension", dimension);
    result.put("k", k);
    result.put("costs", costs);
    double ours = mean(costs.get("kklip"));
    costs.forEach((side, all) -> result.put("kklip/" + side, ours / mean(all)));
    return result;
  }

  /** Sum over the rows of the squared distance to the nearest centre, by difference, in float64. */
  private double cost(SparkRows data, Centres centres) {
    return data.fold(centres, new ExactCost(centres));
  }

  private record ExactCost(Centres centres) implements Fold<Double> {
    @Override
    public Double zero() {
      return 0.0;
    }

    @Override
    public Double add(Double sofar, VectorBlock block, Distances distances) {
      int[] nearest = distances.nearest(block).centres();
      int dimension = block.dimension();
      double cost = sofar;
      for (int row = 0; row < nearest.length; row++) {
        for (int j = 0; j < dimension; j++) {
          double difference =
              (double) block.values()[row * dimension + j]
                  - centres.values()[nearest[row] * dimension + j];
          cost += difference * difference;
        }
      }
      return cost;
    }

    @Override
    public Double merge(Double left, Double right) {
      return left + right;
    }
  }

  private static double median(List<Double> values) {
    double[] sorted = values.stream().mapToDouble(Double::doubleValue).sorted().toArray();
    return (sorted[(sorted.length - 1) / 2] + sorted[sorted.length / 2]) / 2;
  }

  private static double mean(List<Double> values) {
    return values.stream().mapToDouble(Double::doubleValue).average().orElseThrow();
  }

  /** faiss in a Python process. */
  private final class Peer implements AutoCloseable {
    private final Process process;
    private final BufferedReader answers;
    private final PrintStream orders;
    private final Path output = folder.resolve("faiss.f32");

    Peer(String python) throws IOException {
      process =
          new ProcessBuilder(
                  python,
                  Path.of("src", "test", "python", "kmeans_peer.py").toString(),
                  "2",
                  Integer.toString(rows),
                  Integer.toString(dimension),
                  Integer.toString(k),
                  file().toString(),
                  startFile().toString())
              .redirectError(ProcessBuilder.Redirect.INHERIT)
              .start();
      answers = process.inputReader(StandardCharsets.UTF_8);
      orders = new PrintStream(process.getOutputStream(), true, StandardCharsets.UTF_8);
      String ready = answers.readLine();
      if (!"READY".equals(ready)) {
        throw new IOException("Cannot start " + python + ": it said " + ready);
      }
    }

    double run(int most, int seed) throws IOException {
      orders.println(most + " " + seed + " " + output);
      return ((Number) Json.parse(answers.readLine(), Map.class).get("seconds")).doubleValue();
    }

    Centres centres() throws IOException {
      return new Centres(k, dimension, read(output, 0, k));
    }

    @Override
    public void close() {
      orders.close();
      process.destroy();
    }
  }
}
