package io.github.kklip.model;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.tensor.Torch;
import java.util.List;

/**
 * A batch of captions as long as its longest one: with causal attention and pooling at the end
 * token, positions after the end change nothing.
 *
 * @param ids int64 [B, T]
 * @param at int64 [B]: the position of each caption whose state is the caption's
 */
public record Tokens(NDArray ids, NDArray at) {
  /**
   * Puts captions (start token first, end token included, not padded) into arrays of {@code
   * manager}, on its device.
   */
  public static Tokens of(NDManager manager, ClipConfig.Text text, List<int[]> captions) {
    int longest = captions.stream().mapToInt(caption -> caption.length).max().orElse(0);
    if (longest > text.context()) {
      throw new IllegalArgumentException(
          "Cannot batch a caption of "
              + longest
              + " tokens, because the model has this many positions: "
              + text.context()
              + ".");
    }
    long[] ids = new long[captions.size() * longest];
    long[] at = new long[captions.size()];
    for (int row = 0; row < at.length; row++) {
      int[] caption = captions.get(row);
      at[row] = pooled(text, caption);
      for (int i = 0; i < caption.length; i++) {
        if (caption[i] < 0 || caption[i] >= text.vocabulary()) {
          throw new IllegalArgumentException(
              "Cannot batch a caption with the token "
                  + caption[i]
                  + ", because the model's vocabulary is "
                  + text.vocabulary()
                  + ". Check that the tokenizer is the model's.");
        }
        ids[row * longest + i] = caption[i];
      }
    }
    return new Tokens(
        Torch.toDevice(manager, manager.create(ids, new Shape(at.length, longest))),
        Torch.toDevice(manager, manager.create(at)));
  }

  private static int pooled(ClipConfig.Text text, int[] caption) {
    int at = -1;
    for (int i = 0; i < caption.length; i++) {
      if (text.pooledAtHighestId()) {
        at = at < 0 || caption[i] > caption[at] ? i : at;
      } else if (caption[i] == text.endId()) {
        return i;
      }
    }
    if (at < 0) {
      throw new IllegalArgumentException(
          "Cannot batch a caption of "
              + caption.length
              + " tokens, because it lacks the end token "
              + text.endId()
              + ". Check that the tokenizer is the model's.");
    }
    return at;
  }
}
