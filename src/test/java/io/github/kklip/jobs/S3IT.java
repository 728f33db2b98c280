package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.launch.StandaloneCluster;
import io.github.kklip.store.S3Server;
import io.github.kklip.teacher.RandomLlama;
import java.awt.Color;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveOutputStream;
import org.apache.hadoop.fs.FileSystem;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/**
 * The whole pipeline on S3, through spark-submit on a standalone cluster with the {@code kklip-s3}
 * jar: sources, teacher, dataset, checkpoints, exported model and report are objects.
 */
@Tag("slow")
class S3IT {
  @TempDir private Path folder;

  @Test
  void runsThePipelineOnS3AndKeepsItsCredentialsToItself() throws Exception {
    Path llama = folder.resolve("llama");
    RandomLlama.write(llama, 1, List.of("a", "red", "green", "blue", "square"), 64, 1);
    Path result = folder.resolve("result.json");
    Path logs = Files.createDirectories(folder.resolve("logs"));
    try (S3Server s3 = new S3Server(folder.resolve("objects"));
        StandaloneCluster cluster = new StandaloneCluster(logs, 2, 1, 1024)) {
      FileSystem store =
          FileSystem.newInstance(java.net.URI.create(s3.url("")), s3.configuration());
      try (store) {
        write(store, s3.url("raw/a.tar"), archive(0, 60));
        write(store, s3.url("raw/b.tar"), archive(60, 100));
        write(
            store,
            s3.url("table/t.csv"),
            "filepath\ttitle\nx.png\tfrom a table\n".getBytes(StandardCharsets.UTF_8));
        write(store, s3.url("table/x.png"), png(1000));
        try (Stream<Path> files = Files.list(llama)) {
          for (Path file : files.toList()) {
            write(store, s3.url("llama/" + file.getFileName()), Files.readAllBytes(file));
          }
        }
      }
      List<String> words = new ArrayList<>(List.of("run", "--result", result.toString()));
      for (String assignment :
          List.of(
              "dataset=" + s3.url("dataset"),
              "ingest.sources=[{format=webdataset, path=\""
                  + s3.url("raw")
                  + "\"}, {format=csv, path=\""
                  + s3.url("table/*.csv")
                  + "\"}]",
              "ingest.shard-rows=64",
              "ingest.validation-fraction=0.2",
              "tokenizer.vocab-size=560",
              "teacher.path=" + s3.url("llama"),
              "concepts.k=4",
              "concepts.target-perplexity=2",
              "student.config=tiny",
              "train.output=" + s3.url("run"),
              "train.ranks=2",
              "train.batch=16",
              "train.steps=4",
              "train.checkpoint.every-steps=2")) {
        words.addAll(List.of("--set", assignment));
      }
      Map<String, String> spark = new TreeMap<>();
      s3.settings().forEach((key, value) -> spark.put("spark.hadoop." + key, value));
      new Submission(cluster.url(), List.of("kklip-libtorch-cpu-", "kklip-s3-"), spark)
          .run(logs, words);
      Files.delete(logs.resolve("spark.properties"));

      JsonNode stages = new ObjectMapper().readTree(result.toFile()).get("stages");
      assertThat(stages.get("ingest").get("pairs").asLong()).isEqualTo(201);
      assertThat(stages.get("embed").get("captions").asLong()).isEqualTo(201);
      assertThat(stages.get("train").get("steps").asInt()).isEqualTo(4);
      assertThat(s3.keys())
          .contains(
              "dataset/manifest.json",
              "dataset/pairs/train-00000.parquet",
              "dataset/teachers/llama/manifest.json",
              "dataset/teachers/llama/train-00000.parquet",
              "dataset/concepts/concepts/centroids.safetensors",
              "dataset/concepts/concepts/train-00000.parquet",
              "dataset/tokenizer/tokenizer.json",
              "run/huggingface/model.safetensors",
              "run/evaluation/report.html")
          .anyMatch(key -> key.startsWith("run/") && key.contains("checkpoint"))
          .noneMatch(key -> key.contains(".unfinished"))
          .noneMatch(key -> key.contains("_leases"));
    }
    assertThat(holding(S3Server.SECRET_KEY)).isEmpty();
    assertThat(holding(S3Server.ACCESS_KEY)).isEmpty();
  }

  /** The files under the test's folder with a text: logs, work of executors, objects, result. */
  private List<Path> holding(String text) throws IOException {
    byte[] wanted = text.getBytes(StandardCharsets.UTF_8);
    try (Stream<Path> files = Files.walk(folder)) {
      List<Path> all = files.filter(Files::isRegularFile).toList();
      assertThat(all).anyMatch(file -> file.endsWith("driver.log"));
      assertThat(all).anyMatch(file -> file.endsWith("stderr"));
      List<Path> holding = new ArrayList<>();
      for (Path file : all) {
        if (!file.toString().endsWith(".jar") && contains(Files.readAllBytes(file), wanted)) {
          holding.add(file);
        }
      }
      return holding;
    }
  }

  private static boolean contains(byte[] bytes, byte[] wanted) {
    return new String(bytes, StandardCharsets.ISO_8859_1)
        .contains(new String(wanted, StandardCharsets.ISO_8859_1));
  }

  private static void write(FileSystem store, String path, byte[] bytes) throws IOException {
    try (OutputStream out = store.create(new org.apache.hadoop.fs.Path(path))) {
      out.write(bytes);
    }
  }

  private static byte[] archive(int from, int to) throws IOException {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (TarArchiveOutputStream tar = new TarArchiveOutputStream(bytes)) {
      for (int i = from; i < to; i++) {
        member(tar, i + ".png", png(i));
        String json = "{\"captions\": [\"a red square " + i + "\", \"a blue square " + i + "\"]}";
        member(tar, i + ".json", json.getBytes(StandardCharsets.UTF_8));
      }
    }
    return bytes.toByteArray();
  }

  private static void member(TarArchiveOutputStream tar, String name, byte[] bytes)
      throws IOException {
    TarArchiveEntry entry = new TarArchiveEntry(name);
    entry.setSize(bytes.length);
    tar.putArchiveEntry(entry);
    tar.write(bytes);
    tar.closeArchiveEntry();
  }

  private static byte[] png(int number) throws IOException {
    BufferedImage image = new BufferedImage(64, 64, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    graphics.setColor(new Color(number));
    graphics.fillRect(0, 0, 64, 64);
    graphics.dispose();
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.write(image, "png", bytes);
    return bytes.toByteArray();
  }
}
