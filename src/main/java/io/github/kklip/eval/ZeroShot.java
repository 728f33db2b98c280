package io.github.kklip.eval;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.EvaluateSettings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.RgbImage;
import io.github.kklip.ingest.sources.Clutter;
import io.github.kklip.progress.Counts;
import io.github.kklip.progress.Progress;
import io.github.kklip.store.publication.NameEncoding;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Classification without training: an image belongs to the class whose description is nearest. The
 * description of a class is the mean of the unit embeddings of its name in every template, brought
 * to unit length again. Ties count against the model.
 */
final class ZeroShot {
  private static final Logger LOG = LoggerFactory.getLogger(ZeroShot.class);

  private ZeroShot() {}

  /** A class folder: its name as a person would write it, and the files in it. */
  record Category(String name, List<Path> files) {}

  static EvaluationResult.Classification of(
      EvaluateSettings.ZeroShotSettings settings,
      Embedder embedder,
      int batch,
      Configuration configuration)
      throws IOException {
    List<Category> categories = categories(settings, configuration);
    float[] classes =
        classEmbeddings(
            embedder, categories.stream().map(Category::name).toList(), settings.templates());
    List<Integer> ranks = new ArrayList<>();
    long files = categories.stream().mapToLong(category -> category.files.size()).sum();
    int rejected = 0;
    try (Progress progress =
        Progress.of("evaluate: " + settings.name(), "images").total(files).begin()) {
      progress.note(message("%s classes", categories.size()));
      for (int label = 0; label < categories.size(); label++) {
        List<RgbImage> waiting = new ArrayList<>();
        for (Path file : categories.get(label).files) {
          try {
            waiting.add(ImageDecoder.decode(bytes(configuration, file)));
            progress.add(1);
          } catch (ImageRejectedException e) {
            LOG.warn("Leaving out {}: {}", file, e.getMessage());
            progress.add(new Counts(1, 0, 0, 1));
            rejected++;
          }
          if (waiting.size() == batch) {
            rank(embedder, waiting, classes, label, ranks);
          }
        }
        rank(embedder, waiting, classes, label, ranks);
      }
      progress.done();
    }
    if (ranks.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot classify %s because none of its %s files is a readable image.",
              settings.path(), rejected));
    }
    return figures(
        ranks.stream().mapToInt(Integer::intValue).toArray(), categories.size(), rejected);
  }

  static EvaluationResult.Classification figures(int[] ranks, int classes, int rejected) {
    return new EvaluationResult.Classification(
        within(ranks, 1),
        within(ranks, 5),
        1.0 / classes,
        Math.min(1, 5.0 / classes),
        ranks.length,
        classes,
        rejected);
  }

  private static double within(int[] ranks, int answers) {
    return Arrays.stream(ranks).filter(rank -> rank < answers).count() / (double) ranks.length;
  }

  private static void rank(
      Embedder embedder, List<RgbImage> waiting, float[] classes, int label, List<Integer> ranks) {
    if (waiting.isEmpty()) {
      return;
    }
    float[] images = embedder.images(waiting);
    int[] labels = new int[waiting.size()];
    Arrays.fill(labels, label);
    for (int rank : Retrieval.imageRanks(images, classes, labels)) {
      ranks.add(rank);
    }
    waiting.clear();
  }

  /** One unit vector for each class: classes &times; dimension. */
  private static float[] classEmbeddings(
      Embedder embedder, List<String> names, List<String> templates) {
    List<String> prompts = new ArrayList<>();
    for (String name : names) {
      templates.forEach(template -> prompts.add(template.replace("{}", name)));
    }
    return averaged(embedder.captions(prompts), templates.size(), embedder.dimension());
  }

  /**
   * Sums of {@code each} consecutive rows, scaled to unit length.
   *
   * @param rows unit vectors
   */
  static float[] averaged(float[] rows, int each, int dimension) {
    float[] means = new float[rows.length / each];
    for (int i = 0; i < rows.length; i++) {
      int row = i / dimension;
      means[row / each * dimension + i % dimension] += rows[i];
    }
    for (int from = 0; from < means.length; from += dimension) {
      Embedder.normalise(means, from, dimension);
    }
    return means;
  }

  /**
   * The class folders of a task, by name.
   *
   * @throws SettingsException when there is no such folder
   * @throws IOException when there are fewer than two
   */
  static List<FileStatus> folders(
      EvaluateSettings.ZeroShotSettings settings, Configuration configuration) throws IOException {
    Path root = Storage.path(settings.path(), configuration);
    if (Storage.isLocal(configuration, root)) {
      NameEncoding.require();
    }
    FileSystem files = Storage.of(configuration, root);
    if (!files.exists(root)) {
      throw new SettingsException(
          message(
              "Cannot classify %s because there is no such folder: %s. Set the path of evaluate.zero-shot to a folder of class folders.",
              settings.name(), root));
    }
    List<FileStatus> folders =
        sorted(files.listStatus(root)).stream()
            .filter(folder -> folder.isDirectory() && !Clutter.is(root, folder.getPath()))
            .toList();
    requireTwo(settings, folders.size());
    return folders;
  }

  private static void requireTwo(EvaluateSettings.ZeroShotSettings settings, int folders)
      throws IOException {
    if (folders < 2) {
      throw new IOException(
          message(
              "Cannot classify %s because %s has %s folders. It needs one folder of images for each class, two at least.",
              settings.name(), settings.path(), folders));
    }
  }

  static List<Category> categories(
      EvaluateSettings.ZeroShotSettings settings, Configuration configuration) throws IOException {
    Map<String, List<Path>> files = new LinkedHashMap<>();
    List<String> empty = new ArrayList<>();
    List<FileStatus> folders = folders(settings, configuration);
    for (FileStatus folder : folders) {
      FileStatus[] inside =
          Storage.of(configuration, folder.getPath()).listStatus(folder.getPath());
      List<Path> images =
          sorted(inside).stream()
              .filter(file -> file.isFile() && !Clutter.is(folder.getPath(), file.getPath()))
              .map(FileStatus::getPath)
              .toList();
      if (images.isEmpty()) {
        empty.add(folder.getPath().getName());
      } else {
        files.put(folder.getPath().getName(), images);
      }
    }
    if (!empty.isEmpty()) {
      LOG.warn(
          "{} folders of {} hold no file and are no classes: {}",
          empty.size(),
          settings.path(),
          empty);
    }
    requireTwo(settings, files.size());
    ClassNames names =
        ClassNames.of(
            settings,
            folders.stream().map(folder -> folder.getPath().getName()).toList(),
            List.copyOf(files.keySet()),
            configuration);
    return files.entrySet().stream()
        .map(folder -> new Category(names.of(folder.getKey()), folder.getValue()))
        .toList();
  }

  private static List<FileStatus> sorted(FileStatus[] files) {
    return Arrays.stream(files)
        .sorted(Comparator.comparing(file -> file.getPath().getName()))
        .toList();
  }

  private static byte[] bytes(Configuration configuration, Path file) throws IOException {
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      return in.readAllBytes();
    }
  }
}
