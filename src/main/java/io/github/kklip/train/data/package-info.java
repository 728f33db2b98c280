/** Loads the batches of one rank ahead of the step. */
package io.github.kklip.train.data;
