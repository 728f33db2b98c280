/** The three losses of KKLIP over the global batch, and their gradients. */
package io.github.kklip.loss;
