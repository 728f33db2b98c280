/**
 * One step of training: the gradient of the loss over all ranks, and what it changes.
 *
 * <p>Words for a piece of a flat tensor or of a buffer:
 *
 * <ul>
 *   <li><i>segment</i>: the parameters of one stage of the backward pass, whose gradients become
 *       final together ({@link io.github.kklip.tensor.FlatTensor});
 *   <li><i>range</i>: the elements {@code [from, from + length)} of a flat tensor; ranks exchange a
 *       range in one operation;
 *   <li><i>shard</i>: of a range, or of the buffer of an operation, the contiguous elements that
 *       belong to one rank;
 *   <li><i>chunk</i>: the bytes that a transport moves at a time.
 * </ul>
 */
package io.github.kklip.train.step;
