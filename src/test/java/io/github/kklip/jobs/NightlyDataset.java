package io.github.kklip.jobs;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.teacher.RandomLlama;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import javax.imageio.ImageIO;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.sql.SparkSession;

/** A dataset that grows by a few images each night, with embeddings and concepts. */
final class NightlyDataset {
  static final List<String> WORDS = List.of("red", "green", "blue", "square");

  private final Path folder;
  private final Kklip kklip;
  private int images;

  NightlyDataset(SparkSession spark, Path folder) throws IOException {
    this.folder = folder;
    RandomLlama.write(folder.resolve("llama"), 1, WORDS, 64, 1);
    kklip =
        Kklip.on(spark)
            .set("dataset", root())
            .set("teacher.path", folder.resolve("llama"))
            .set("ingest.shard-rows", 16)
            .set("ingest.validation-fraction", 0.2)
            .set("concepts.k", 2)
            .set("concepts.target-perplexity", 1.5)
            .set("tokenizer.vocab-size", 520);
  }

  Path root() {
    return folder.resolve("dataset");
  }

  DatasetFolder dataset() {
    return new DatasetFolder(root().toString(), new Configuration(false));
  }

  Kklip kklip() {
    return kklip;
  }

  /** One night: so many new images, each with a caption, and an image without one. */
  void night(int count) throws IOException {
    Path in = folder.resolve("night" + images);
    Files.createDirectories(in);
    for (int i = 0; i < count; i++) {
      write(in.resolve(images + ".png"));
      String caption = "a " + WORDS.get(images % 3) + " square number " + images;
      Files.writeString(in.resolve(images + ".txt"), caption);
      images++;
    }
    write(in.resolve("lonely" + images + ".png"));
    again(in);
  }

  /** Reads a folder of images, which may have been read before. */
  void again(Path in) throws IOException {
    kklip.set("ingest.sources", "[{ format = folder, path = \"" + in + "\" }]").ingest();
  }

  /** The folder of the night whose first image has this number. */
  Path night0() {
    return folder.resolve("night0");
  }

  private void write(Path file) throws IOException {
    BufferedImage picture = new BufferedImage(20, 18, BufferedImage.TYPE_INT_RGB);
    int seed = file.hashCode();
    for (int y = 0; y < 18; y++) {
      for (int x = 0; x < 20; x++) {
        picture.setRGB(x, y, seed * (x + 31 * y + 7));
      }
    }
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    ImageIO.write(picture, "png", bytes);
    Files.write(file, bytes.toByteArray());
  }
}
