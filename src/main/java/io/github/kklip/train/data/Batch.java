package io.github.kklip.train.data;

import io.github.kklip.store.Label;
import java.nio.ByteBuffer;

/**
 * One rank's part of a batch, in host memory.
 *
 * @param step the batch's number in the run
 * @param pixels normalised float32 [rows, 3, S, S] in native order; the loader's again after {@link
 *     PairLoader#recycle}
 * @param tokens ids of each caption, not padded
 * @param images a number for each row's image, equal for equal images: the first 64 bits of its id
 * @param teacher t of each row; null when its loss has weight 0
 * @param labels soft label of each row; null when its loss has weight 0
 */
@SuppressWarnings("ArrayRecordComponent") // a batch is never compared
public record Batch(
    long step,
    ByteBuffer pixels,
    int[][] tokens,
    long[] images,
    float[][] teacher,
    Label[] labels) {
  public int rows() {
    return tokens.length;
  }
}
