package io.github.kklip.eval;

import io.github.kklip.image.Thumbnail;
import io.github.kklip.store.DatasetFolder;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;

/**
 * Queries with what the model answers, evenly spread over the split and not picked by how well it
 * does.
 *
 * @param pictures thumbnails by image
 */
record Examples(
    List<Images> textToImage, List<ShownCaptions> imageToText, Map<Integer, String> pictures) {
  private static final int ANSWERS = 5;

  /** Longest side in pixels: the page shows the middle of a picture, 120 pixels wide. */
  private static final int PICTURE_SIDE = 192;

  /**
   * The images found for a caption.
   *
   * @param truth the caption's image
   * @param rank where that was found, from 1
   */
  record Images(String caption, int truth, int rank, List<Integer> images) {}

  /**
   * The captions found for an image.
   *
   * @param rank where the first of its own was found, from 1
   * @param own which of them are its own
   */
  record ShownCaptions(int image, int rank, List<String> captions, List<Boolean> own) {}

  static Examples of(
      EvaluatedSplit split, int[] imageRanks, int[] captionRanks, int count, DatasetFolder dataset)
      throws IOException {
    int dimension = split.images().length / split.imageIds().size();
    List<Images> textToImage = new ArrayList<>();
    List<ShownCaptions> imageToText = new ArrayList<>();
    Set<Integer> shown = new TreeSet<>();
    for (int image : split.spread(count)) {
      int caption = firstCaption(split, image);
      List<Integer> found = new ArrayList<>();
      for (int answer :
          Retrieval.best(split.texts(), caption, split.images(), dimension, ANSWERS)) {
        found.add(answer);
      }
      textToImage.add(
          new Images(split.captions().get(caption), image, imageRanks[caption] + 1, found));
      List<String> captions = new ArrayList<>();
      List<Boolean> own = new ArrayList<>();
      for (int answer : Retrieval.best(split.images(), image, split.texts(), dimension, ANSWERS)) {
        captions.add(split.captions().get(answer));
        own.add(split.imageOf()[answer] == image);
      }
      imageToText.add(new ShownCaptions(image, captionRanks[image] + 1, captions, own));
      shown.add(image);
      shown.addAll(found);
    }
    Map<Integer, String> pictures = new HashMap<>();
    for (Map.Entry<Integer, byte[]> stored : split.stored(dataset, shown).entrySet()) {
      pictures.put(stored.getKey(), Thumbnail.dataUri(stored.getValue(), PICTURE_SIDE));
    }
    return new Examples(textToImage, imageToText, pictures);
  }

  private static int firstCaption(EvaluatedSplit split, int image) {
    int caption = 0;
    while (split.imageOf()[caption] != image) {
      caption++;
    }
    return caption;
  }
}
