package io.github.kklip.eval;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.EvaluateSettings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.RgbImage;
import io.github.kklip.progress.Counts;
import io.github.kklip.progress.Progress;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardReader;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.LongSupplier;

/**
 * The split that is evaluated, the test or the validation split: every image once, with all its
 * captions.
 *
 * @param split which of the two
 * @param imageIds in the order of their first row
 * @param captions all captions of these images, in the order of the rows
 * @param imageOf for each caption its image
 * @param skipped images beyond the bound
 * @param images embeddings, images &times; dimension
 * @param texts embeddings, captions &times; dimension
 */
record EvaluatedSplit(
    Split split,
    List<String> imageIds,
    List<String> captions,
    int[] imageOf,
    int skipped,
    float[] images,
    float[] texts) {

  /** What is done with each row. */
  private interface PairVisitor {
    void visit(Pair pair) throws IOException;
  }

  /** The split to evaluate: test where there is one, unless the settings say which. */
  static Split of(EvaluateSettings.EvaluateSplit set, LongSupplier test) {
    return switch (set) {
      case AUTO -> test.getAsLong() > 0 ? Split.TEST : Split.VALIDATION;
      case VALIDATION -> Split.VALIDATION;
      case TEST -> Split.TEST;
    };
  }

  /**
   * Reads and embeds the split.
   *
   * @param settings of validation {@code max-images} images at the most, in shard order; of test
   *     all, as it was published; {@code batch} of them are held decoded
   */
  static EvaluatedSplit embed(DatasetFolder folder, EvaluateSettings settings, Embedder embedder)
      throws IOException {
    Map<String, Integer> known = new HashMap<>();
    Set<String> skipped = new HashSet<>();
    List<String> imageIds = new ArrayList<>();
    List<String> captions = new ArrayList<>();
    List<Integer> imageOf = new ArrayList<>();
    List<RgbImage> waiting = new ArrayList<>();
    List<float[]> parts = new ArrayList<>();
    DatasetManifest manifest = folder.requireManifest();
    Split split = of(settings.split(), () -> manifest.rows(Split.TEST));
    int maxImages = split == Split.TEST ? Integer.MAX_VALUE : settings.maxImages();
    long rows = manifest.rows(split);
    try (Progress progress = Progress.of("evaluate", "pairs").total(rows).items("images").begin()) {
      visit(
          folder,
          manifest.shards(split),
          pair -> {
            progress.add(1);
            Integer image = known.get(pair.imageId());
            if (image == null) {
              if (imageIds.size() == maxImages) {
                skipped.add(pair.imageId());
                return;
              }
              image = imageIds.size();
              known.put(pair.imageId(), image);
              imageIds.add(pair.imageId());
              waiting.add(decode(pair));
              if (waiting.size() == settings.batch()) {
                parts.add(embedder.images(waiting));
                progress.add(new Counts(0, 0, waiting.size(), 0));
                waiting.clear();
              }
            }
            captions.add(pair.caption());
            imageOf.add(image);
          });
      require(folder, split, imageIds.size());
      parts.add(embedder.images(waiting));
      progress.add(new Counts(0, 0, waiting.size(), 0));
      progress.done();
    }
    return new EvaluatedSplit(
        split,
        imageIds,
        captions,
        imageOf.stream().mapToInt(Integer::intValue).toArray(),
        skipped.size(),
        joined(parts),
        texts(captions, embedder));
  }

  private static float[] texts(List<String> captions, Embedder embedder) {
    try (Progress progress = Progress.of("evaluate", "captions").total(captions.size()).begin()) {
      float[] texts = embedder.captions(captions, progress::add);
      progress.done();
      return texts;
    }
  }

  /** The stored bytes of some images. */
  Map<Integer, byte[]> stored(DatasetFolder folder, Set<Integer> wanted) throws IOException {
    Map<String, Integer> ids = new HashMap<>();
    wanted.forEach(image -> ids.put(imageIds.get(image), image));
    Map<Integer, byte[]> bytes = new HashMap<>();
    visit(
        folder,
        folder.requireManifest().shards(split),
        pair -> {
          Integer image = ids.get(pair.imageId());
          if (image != null) {
            bytes.put(image, pair.image());
          }
        });
    return bytes;
  }

  /** Number of captions of each image. */
  int[] captionsOfEach() {
    int[] count = new int[imageIds.size()];
    for (int image : imageOf) {
      count[image]++;
    }
    return count;
  }

  private static void visit(DatasetFolder folder, List<Shard> shards, PairVisitor visitor)
      throws IOException {
    for (Shard shard : shards) {
      try (ShardReader<Pair> pairs =
          ShardReader.open(folder.configuration(), folder.pairs(shard), PairFormat.ALL)) {
        for (int group = 0; group < pairs.rowGroups(); group++) {
          for (Pair pair : pairs.readGroup(group)) {
            visitor.visit(pair);
          }
        }
      }
    }
  }

  private static RgbImage decode(Pair pair) throws IOException {
    try {
      return ImageDecoder.decode(pair.image());
    } catch (ImageRejectedException e) {
      throw new IOException(
          message(
              "Cannot evaluate because the image of the pair %s no longer decodes: %s Ingest the dataset again with this version.",
              pair.id(), e.getMessage()),
          e);
    }
  }

  private static float[] joined(List<float[]> parts) {
    float[] all = new float[parts.stream().mapToInt(part -> part.length).sum()];
    int at = 0;
    for (float[] part : parts) {
      System.arraycopy(part, 0, all, at, part.length);
      at += part.length;
    }
    return all;
  }

  /** So many images, evenly spread over the split: examples that nobody picked. */
  int[] spread(int count) {
    int shown = Math.min(count, imageIds.size());
    int[] images = new int[shown];
    Arrays.setAll(images, i -> (int) ((long) i * imageIds.size() / shown));
    return images;
  }

  /** Refuses a dataset that has nothing to evaluate on. */
  static void require(DatasetFolder folder, Split split, long rows) {
    if (rows == 0) {
      throw new SettingsException(
          message(
              "Cannot evaluate on %s because its %s split is empty. %s",
              folder.root(),
              split.keyword(),
              split == Split.TEST
                  ? "Ingest a source with split = test, or set evaluate.split = validation."
                  : "Ingest with a larger ingest.validation-fraction."));
    }
  }
}
