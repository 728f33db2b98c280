package io.github.kklip.model;

import static io.github.kklip.config.Message.message;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import io.github.kklip.tensor.Torch;
import java.util.List;

/**
 * A batch of captions without padding: one row for each token, caption after caption, N in all.
 * With causal attention and pooling at the end token, positions after the end change nothing, so
 * they are left out. Only attention itself wants captions side by side: it works on {@code places}.
 *
 * @param ids int64 [N]
 * @param positions int64 [N]: the position of each token in its caption
 * @param places int64 [B T], T the longest caption: the row of each place of a rectangle of
 *     captions; places after a caption's end name the caption's last row, and nobody looks at them
 * @param rows int64 [N]: the place of each token
 * @param last int64 [B]: the row whose state is the caption's: its last one
 */
public record Tokens(NDArray ids, NDArray positions, NDArray places, NDArray rows, NDArray last) {
  /**
   * Puts captions (start token first, end token included, not padded) into arrays of {@code
   * manager}, on its device.
   */
  public static Tokens of(NDManager manager, ClipConfig.Text text, List<int[]> captions) {
    int[] lengths = new int[captions.size()];
    int total = 0;
    int longest = 0;
    for (int row = 0; row < lengths.length; row++) {
      lengths[row] = length(text, captions.get(row));
      total += lengths[row];
      longest = Math.max(longest, lengths[row]);
    }
    long[] ids = new long[total];
    long[] positions = new long[total];
    long[] places = new long[lengths.length * longest];
    long[] rows = new long[total];
    long[] last = new long[lengths.length];
    int row = 0;
    for (int caption = 0; caption < lengths.length; caption++) {
      int first = row;
      for (int i = 0; i < lengths[caption]; i++, row++) {
        ids[row] = captions.get(caption)[i];
        positions[row] = i;
        rows[row] = (long) caption * longest + i;
      }
      last[caption] = row - 1L;
      for (int i = 0; i < longest; i++) {
        places[caption * longest + i] = Math.min(first + i, row - 1);
      }
    }
    return new Tokens(
        onDevice(manager, ids),
        onDevice(manager, positions),
        onDevice(manager, places),
        onDevice(manager, rows),
        onDevice(manager, last));
  }

  private static NDArray onDevice(NDManager manager, long[] numbers) {
    return Torch.send(manager, manager.create(numbers));
  }

  /** Number of captions. */
  long size() {
    return last.size();
  }

  /** Tokens of a caption up to the one whose state is pooled. */
  private static int length(ClipConfig.Text text, int[] caption) {
    if (caption.length > text.context()) {
      throw new IllegalArgumentException(
          message(
              "Cannot batch a caption of %s tokens, because the model has this many positions: %s.",
              caption.length, text.context()));
    }
    for (int id : caption) {
      if (id < 0 || id >= text.vocabulary()) {
        throw new IllegalArgumentException(
            message(
                "Cannot batch a caption with the token %s, because the model's vocabulary is %s. Check that the tokenizer is the model's.",
                id, text.vocabulary()));
      }
    }
    return pooled(text, caption) + 1;
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
          message(
              "Cannot batch a caption of %s tokens, because it lacks the end token %s. Check that the tokenizer is the model's.",
              caption.length, text.endId()));
    }
    return at;
  }
}
