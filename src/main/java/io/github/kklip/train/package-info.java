/**
 * The training run of one rank: prepares, loops, skips, reports. Its parts are in the subpackages.
 * Knows no Spark.
 */
package io.github.kklip.train;
