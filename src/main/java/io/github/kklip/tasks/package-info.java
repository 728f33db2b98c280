/** Spark tasks: one for each shard, and where a task computes. */
package io.github.kklip.tasks;
