package io.github.kklip.tasks;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.progress.Counts;
import io.github.kklip.progress.Progress;
import io.github.kklip.progress.ToldProgress;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import org.apache.spark.SparkConf;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

class TaskProgressTest {
  /** The driver has heard of what the running task has done. */
  private static final CountDownLatch HEARD = new CountDownLatch(1);

  private static JavaSparkContext spark;

  @BeforeAll
  static void start() {
    spark =
        new JavaSparkContext(
            new SparkConf()
                .setMaster("local[1,2]")
                .setAppName("progress")
                .set("spark.executor.heartbeatInterval", "100ms")
                .set("spark.ui.enabled", "false")
                .set("spark.driver.bindAddress", "127.0.0.1")
                .set("spark.driver.host", "127.0.0.1"));
  }

  @AfterAll
  static void stop() {
    spark.stop();
  }

  @Test
  void aTaskIsHeardOfWhileItRuns() throws Exception {
    try (Progress.Listening listening =
            Progress.listen(
                (event, progress) -> {
                  if (progress.reading().counts().equals(new Counts(3, 0, 0, 1))) {
                    HEARD.countDown();
                  }
                });
        TaskProgress progress = TaskProgress.begin(spark, Progress.of("test", "rows").total(10))) {
      assertThat(listening).isNotNull();
      TaskCounts counts = progress.counts();
      boolean heard =
          spark
              .parallelize(List.of(1), 1)
              .map(
                  one -> {
                    counts.done(3);
                    counts.items(0, 1);
                    return HEARD.await(60, TimeUnit.SECONDS);
                  })
              .first();
      progress.done();
      assertThat(heard).isTrue();
    }
  }

  @Test
  void theEndHasAllAndNoFailedTask() throws Exception {
    try (ToldProgress told = new ToldProgress()) {
      try (TaskProgress progress =
          TaskProgress.begin(spark, Progress.of("again", "rows").total(40))) {
        progress.doneBefore(10);
        TaskCounts counts = progress.counts();
        spark
            .parallelize(List.of(10, 20), 2)
            .foreach(
                rows -> {
                  counts.done(rows);
                  if (TaskContext.get().attemptNumber() == 0) {
                    throw new IllegalStateException("the first attempt fails");
                  }
                });
        progress.done();
      }
      assertThat(told.all())
          .startsWith("again, rows: begin", "again, rows: count")
          .endsWith("again, rows: done 40 of 40");
    }
  }

  @Test
  void aFailureIsToldAsStopped() throws Exception {
    try (ToldProgress told = new ToldProgress()) {
      assertThatThrownBy(
              () -> {
                try (TaskProgress progress =
                    TaskProgress.begin(spark, Progress.of("fails", "rows").total(40))) {
                  spark
                      .parallelize(List.of(1), 1)
                      .foreach(
                          row -> {
                            throw new IllegalStateException("always");
                          });
                  progress.done();
                }
              })
          .hasMessageContaining("always");
      assertThat(told.all()).containsExactly("fails, rows: begin", "fails, rows: stopped 0 of 40");
    }
  }
}
