package io.github.kklip.eval;

import static io.github.kklip.config.Message.message;

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

/**
 * The validation split: every image once, with all its captions.
 *
 * @param imageIds in the order of their first row
 * @param captions all captions of these images, in the order of the rows
 * @param imageOf for each caption its image
 * @param skipped images beyond the bound
 * @param images embeddings, images &times; dimension
 * @param texts embeddings, captions &times; dimension
 */
record ValidationSplit(
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

  /**
   * Reads and embeds the split.
   *
   * @param maxImages images at the most, in shard order
   * @param batch images held decoded
   */
  static ValidationSplit embed(DatasetFolder folder, int maxImages, int batch, Embedder embedder)
      throws IOException {
    Map<String, Integer> known = new HashMap<>();
    Set<String> skipped = new HashSet<>();
    List<String> imageIds = new ArrayList<>();
    List<String> captions = new ArrayList<>();
    List<Integer> imageOf = new ArrayList<>();
    List<RgbImage> waiting = new ArrayList<>();
    List<float[]> parts = new ArrayList<>();
    DatasetManifest manifest = folder.requireManifest();
    long rows = manifest.rows(Split.VALIDATION);
    try (Progress progress = Progress.of("evaluate", "pairs").total(rows).items("images").begin()) {
      visit(
          folder,
          manifest,
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
              if (waiting.size() == batch) {
                parts.add(embedder.images(waiting));
                progress.add(new Counts(0, 0, waiting.size(), 0));
                waiting.clear();
              }
            }
            captions.add(pair.caption());
            imageOf.add(image);
          });
      require(folder, imageIds.size());
      parts.add(embedder.images(waiting));
      progress.add(new Counts(0, 0, waiting.size(), 0));
      progress.done();
    }
    return new ValidationSplit(
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
        folder.requireManifest(),
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

  private static void visit(DatasetFolder folder, DatasetManifest manifest, PairVisitor visitor)
      throws IOException {
    for (Shard shard : manifest.shards(Split.VALIDATION)) {
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
  static void require(DatasetFolder folder, long rows) {
    if (rows == 0) {
      throw new SettingsException(
          message(
              "Cannot evaluate on %s because its validation split is empty. Ingest with a larger ingest.validation-fraction.",
              folder.root()));
    }
  }
}
