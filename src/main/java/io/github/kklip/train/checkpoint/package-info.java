/** Checkpoints: written beside the training, whole or not at all, found again. */
package io.github.kklip.train.checkpoint;
