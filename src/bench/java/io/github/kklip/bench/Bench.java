package io.github.kklip.bench;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.RunnerException;
import org.openjdk.jmh.runner.options.OptionsBuilder;
import org.openjdk.jmh.runner.options.TimeValue;

/**
 * Measures this project against open_clip, transformers and Pillow, on this machine, in one run.
 *
 * <pre>mvn -q -Pbench test-compile exec:exec -Dbench="train small" -Dpeer=/path/to/python</pre>
 *
 * <p>Every side is a process that has loaded and warmed its model; they take turns, block by block,
 * so that a change of the machine's mood meets both. Printed are medians, and the median of the
 * rounds' ratios. The peers' side is src/test/python/peer.py, for a Python with torch, open_clip,
 * transformers and Pillow; without {@code -Dpeer} only this project's side runs.
 */
public final class Bench {
  private static final Path LENGTHS = Path.of("src/bench/caption-lengths.txt");

  /** Where both sides of {@code train} compute: {@code cpu} or {@code cuda:N}. */
  private static final String DEVICE = System.getProperty("kklip.device", "cpu");

  private static final List<String> ALL =
      List.of(
          "train",
          "train-bf16",
          "train-full",
          "small",
          "small-bf16",
          "recompute",
          "embed",
          "embed-bf16",
          "images",
          "pieces");

  private final String python;
  private final int rounds;
  private final int threads;
  private final int captions;

  private Bench(String python, int rounds, int threads, int captions) {
    this.python = python;
    this.rounds = rounds;
    this.threads = threads;
    this.captions = captions;
  }

  /** Arguments: {@code PYTHON|none ROUNDS THREADS CAPTIONS} and contests; none: all. */
  public static void main(String[] arguments) throws Exception {
    if (arguments[0].equals("work")) {
      work(List.of(arguments).subList(1, arguments.length));
      return;
    }
    Bench bench =
        new Bench(
            arguments[0],
            Integer.parseInt(arguments[1]),
            Integer.parseInt(arguments[2]),
            Integer.parseInt(arguments[3]));
    List<String> contests = List.of(arguments).subList(4, arguments.length);
    for (String contest : contests.isEmpty() ? ALL : contests) {
      bench.run(contest);
    }
  }

  private void run(String contest) throws Exception {
    switch (contest) {
      case "train" -> train(contest, "vit-b-32", 32, "float32", "real");
      case "train-bf16" -> train(contest, "vit-b-32", 32, "bfloat16", "real");
      case "train-full" -> train(contest, "vit-b-32", 32, "float32", "full");
      case "gpu" -> train(contest, "vit-b-32", 256, "bfloat16", "real");
      case "gpu-full" -> train(contest, "vit-b-32", 256, "bfloat16", "full");
      case "gpu-fp32" -> train(contest, "vit-b-32", 256, "float32", "full");
      case "small" -> train(contest, "small", 64, "float32", "real");
      case "small-bf16" -> train(contest, "small", 64, "bfloat16", "real");
      case "recompute" ->
          contest(
              contest,
              Map.of("keep", ours("train", "vit-b-32", "32", "float32", "real", "keep")),
              Map.of("recompute", ours("train", "vit-b-32", "32", "float32", "real", "recompute")));
      case "embed" -> embed(contest, "float32");
      case "embed-bf16" -> embed(contest, "bfloat16");
      case "images" -> images(contest);
      case "pieces" -> pieces();
      default ->
          throw new IllegalArgumentException(
              "Cannot run the benchmark " + contest + ". There are: " + String.join(", ", ALL));
    }
  }

  private void train(String contest, String model, int batch, String type, String lengths)
      throws Exception {
    String count = Integer.toString(batch);
    contest(
        contest,
        Map.of("kklip", ours("train", model, count, type, lengths, "keep")),
        Map.of("open_clip", peer("train", model, count, type, DEVICE)));
  }

  private void embed(String contest, String type) throws Exception {
    Path folder = Files.createTempDirectory("kklip-bench");
    try {
      LlamaFolder.write(folder, type, 2048);
      String file = folder.resolve(LlamaFolder.CAPTIONS).toString();
      String count = Integer.toString(captions);
      Map<String, List<String>> peers = new TreeMap<>();
      for (String order : List.of("arrival", "sorted")) {
        peers.put(
            "transformers " + order,
            peer("embed", folder.toString(), file, type, order, count, DEVICE));
      }
      contest(contest, Map.of("kklip", ours("embed", folder.toString(), file, type, count)), peers);
    } finally {
      LlamaFolder.delete(folder);
    }
  }

  private void images(String contest) throws Exception {
    Path folder = Files.createTempDirectory("kklip-bench");
    try {
      Photographs.write(folder);
      contest(
          contest,
          Map.of("kklip", ours("images", folder.toString())),
          Map.of("Pillow", peer("images", folder.toString())));
    } finally {
      LlamaFolder.delete(folder);
    }
  }

  private static void pieces() throws RunnerException {
    new Runner(
            new OptionsBuilder()
                .include("Pieces")
                .forks(1)
                .warmupIterations(3)
                .warmupTime(TimeValue.seconds(1))
                .measurementIterations(5)
                .measurementTime(TimeValue.seconds(1))
                .build())
        .run();
  }

  private List<String> ours(String... words) {
    List<String> command =
        new ArrayList<>(
            List.of(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx384m",
                // No second core that collects garbage while a side works on one.
                "-XX:+UseSerialGC",
                "-Dkklip.device=" + DEVICE,
                "-cp",
                System.getProperty("java.class.path"),
                Bench.class.getName(),
                "work",
                Integer.toString(threads)));
    command.addAll(List.of(words));
    return command;
  }

  private List<String> peer(String... words) {
    List<String> command =
        new ArrayList<>(List.of(python, "src/test/python/peer.py", Integer.toString(threads)));
    command.addAll(List.of(words));
    return command;
  }

  private void contest(
      String name, Map<String, List<String>> ours, Map<String, List<String>> others)
      throws Exception {
    Map<String, List<String>> commands = new LinkedHashMap<>(ours);
    others.forEach(
        (side, command) -> {
          if (!python.equals("none") || !command.contains("src/test/python/peer.py")) {
            commands.put(side, command);
          }
        });
    List<Side> sides = new ArrayList<>();
    try {
      for (Map.Entry<String, List<String>> entry : commands.entrySet()) {
        sides.add(new Side(entry.getKey(), threads, entry.getValue()));
      }
      for (int round = 0; round < rounds; round++) {
        for (Side side : sides) {
          side.block();
        }
      }
      print(name, sides);
    } finally {
      sides.forEach(Side::close);
    }
  }

  private void print(String contest, List<Side> sides) throws IOException, InterruptedException {
    Map<String, Object> line = new LinkedHashMap<>();
    line.put("bench", contest);
    line.put("rounds", rounds);
    line.put("threads", threads);
    Side first = sides.get(0);
    for (Side side : sides) {
      Map<String, Object> figures = new LinkedHashMap<>();
      double[] rates = new double[rounds];
      double[] ratios = new double[rounds];
      for (int round = 0; round < rounds; round++) {
        rates[round] = side.rate(round);
        ratios[round] = first.rate(round) / side.rate(round);
      }
      figures.put("seconds", rounded(side.median("seconds")));
      figures.put("items_per_s", rounded(median(rates)));
      for (String field :
          List.of(
              "gflops", "gemm_gflops", "flat_mib", "check", "passes_ms", "norm_ms", "update_ms")) {
        if (side.has(field)) {
          figures.put(field, rounded(side.median(field)));
        }
      }
      JsonNode end = side.end();
      end.fields().forEachRemaining(field -> figures.put(field.getKey(), field.getValue()));
      line.put(side.name(), figures);
      if (side != first) {
        line.put(first.name() + " / " + side.name(), rounded(median(ratios)));
      }
    }
    System.out.println(new ObjectMapper().writeValueAsString(line));
  }

  private static double median(double[] values) {
    double[] sorted = values.clone();
    java.util.Arrays.sort(sorted);
    int middle = sorted.length / 2;
    return sorted.length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
  }

  private static double rounded(double value) {
    return Double.parseDouble(String.format(Locale.ROOT, "%.4g", value));
  }

  private static void work(List<String> words) throws Exception {
    Torch.start(Integer.parseInt(words.get(0)));
    List<String> rest = words.subList(2, words.size());
    Worker.serve(
        switch (words.get(1)) {
          case "train" ->
              new TrainWorker(
                  Torch.manager(Torch.device(DEVICE)),
                  rest.get(0),
                  Integer.parseInt(rest.get(1)),
                  type(rest.get(2)),
                  rest.get(3).equals("full") ? List.of() : lengths(),
                  rest.get(4).equals("recompute"));
          case "embed" ->
              new EmbedWorker(
                  Torch.device(DEVICE),
                  Path.of(rest.get(0)),
                  Path.of(rest.get(1)),
                  type(rest.get(2)),
                  Integer.parseInt(rest.get(3)));
          case "images" -> new ImageWorker(Path.of(rest.get(0)));
          default -> throw new IllegalArgumentException("Cannot work on " + words);
        });
  }

  private static ElementType type(String name) {
    return ElementType.valueOf(name.toUpperCase(Locale.ROOT));
  }

  /** Tokens of real captions for the student. */
  private static List<Integer> lengths() throws IOException {
    return Files.readAllLines(LENGTHS).stream()
        .map(line -> Integer.valueOf(line.split(" ")[0]))
        .toList();
  }
}
