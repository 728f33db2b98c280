/** The training run of one rank: order of samples, loading, step, checkpoints. Knows no Spark. */
package io.github.kklip.train;
