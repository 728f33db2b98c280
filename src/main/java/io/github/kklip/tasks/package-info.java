/** Spark tasks: one for each shard, where a task computes, and what tasks have done. */
package io.github.kklip.tasks;
