/**
 * The layer over DJL's PyTorch engine: operators DJL does not bind, flat buffers, precision,
 * threads, autograd.
 */
package io.github.kklip.tensor;
