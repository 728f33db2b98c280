package io.github.kklip.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.faults.FaultStore;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.FutureTask;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.Test;

class StageLeaseTest {
  private static final CountDownLatch RUNNING = new CountDownLatch(1);

  @Test
  void theJobsOfTheStageAreCancelledWhenItsLeaseIsLost() throws Exception {
    SparkConf conf =
        new SparkConf()
            .setMaster("local[2]")
            .setAppName("lease")
            .set("spark.ui.enabled", "false")
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.driver.bindAddress", "127.0.0.1");
    try (FaultStore store = FaultStore.open("stage", FaultStore.Rule.HDFS);
        JavaSparkContext spark = new JavaSparkContext(conf)) {
      Configuration configuration = store.configuration("driver");
      Path folder = store.path("data");
      FutureTask<Void> stage =
          new FutureTask<>(
              () -> {
                try (StageLease lease =
                    StageLease.acquire(
                        spark, configuration, folder, "ingest", Duration.ofSeconds(2))) {
                  lease.check();
                  assertThatThrownBy(() -> runUntilCancelled(spark))
                      .hasMessageContaining("Cannot finish the stage because a task failed: ")
                      .hasMessageContaining("because the lease was lost: ");
                  assertThatThrownBy(lease::check).hasMessageContaining("the lease was lost");
                }
                // What it runs without the lease is not touched.
                assertThat(spark.sc().getJobTags().isEmpty()).isTrue();
                return null;
              });
      Thread thread = new Thread(stage);
      thread.setDaemon(true);
      thread.start();
      RUNNING.await();
      FileSystem files = folder.getFileSystem(store.configuration("stranger"));
      files.delete(new Path(folder, "_leases"), true);
      stage.get();
    }
  }

  private static void runUntilCancelled(JavaSparkContext spark) {
    ShardTasks.run(
        spark,
        "the stage",
        1,
        List.of(1),
        (item, place) -> {
          RUNNING.countDown();
          while (!org.apache.spark.TaskContext.get().isInterrupted()) {
            Thread.onSpinWait();
          }
          return item;
        });
  }
}
