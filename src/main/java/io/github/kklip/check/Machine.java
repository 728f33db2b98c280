package io.github.kklip.check;

import io.github.kklip.tasks.TaskPlace;
import io.github.kklip.tensor.HostMemory;
import java.nio.file.Path;
import java.util.Optional;
import org.apache.spark.SparkConf;

/**
 * Where a job is to run.
 *
 * @param spark the settings of the session that it will open; {@code spark.master} may be missing
 * @param embedded whether KKLIP chooses the master itself: one process for each rank, on this
 *     machine
 * @param cores of this machine
 * @param memoryMb memory of this machine
 * @param result the file for the RESULT line
 */
public record Machine(
    SparkConf spark, boolean embedded, int cores, long memoryMb, Optional<Path> result) {

  /** This machine. */
  public static Machine here(SparkConf spark, boolean embedded, Optional<Path> result) {
    return new Machine(
        spark,
        embedded,
        Runtime.getRuntime().availableProcessors(),
        HostMemory.total() >> 20,
        result);
  }

  /** Whether tasks compute on the CPU of this machine. */
  boolean computesOnCpuHere() {
    return executorsAreHere() && !TaskPlace.asksForGpus(spark);
  }

  /** Whether executors see the disks of this machine. */
  boolean executorsAreHere() {
    return embedded || spark.get("spark.master", "").startsWith("local");
  }
}
