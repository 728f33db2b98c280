/** AdamW on flat tensors, its schedule, and clipping. */
package io.github.kklip.optim;
