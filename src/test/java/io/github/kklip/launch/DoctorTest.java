package io.github.kklip.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.Settings;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.Test;

class DoctorTest {
  private static JavaSparkContext open(String master) {
    return new JavaSparkContext(
        new SparkConf()
            .setAppName("kklip test")
            .setMaster(master)
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.ui.enabled", "false"));
  }

  @Test
  void looksAtTheDriverAndSaysWhatTheSettingsLack() {
    try (JavaSparkContext spark = open("local[1]")) {
      Doctor.DoctorReport report =
          Doctor.examine(spark, Settings.load(List.of(), List.of("train.ranks=2", "threads=1000")));
      assertThat(report.slots()).isEqualTo(1);
      assertThat(report.processes().get(0).where()).isEqualTo("driver");
      assertThat(report.processes().get(0).libtorch()).matches("\\d+\\.\\d+\\.\\d+");
      assertThat(report.processes().get(1).where()).startsWith("executor driver on ");
      assertThat(report.problems())
          .anySatisfy(
              p -> assertThat(p).contains("Cannot run 2 ranks with the master local[1] because"))
          .anySatisfy(p -> assertThat(p).contains("a task uses 1000 native threads on "));
    }
  }

  /** As notebooks open it. Spark knows no resource profiles there. */
  @Test
  void theOnlyRankOfLocalModeHasAllItsCores() {
    try (JavaSparkContext spark = open("local[3]")) {
      Doctor.DoctorReport report = Doctor.examine(spark, Settings.load(List.of(), List.of()));
      assertThat(report.slots()).isEqualTo(1);
      assertThat(report.processes()).hasSize(2);
      assertThat(report.processes().get(1).threads()).isEqualTo(3);
      Settings two = Settings.load(List.of(), List.of("threads=2"));
      assertThat(Doctor.examine(spark, two).processes().get(1).threads()).isEqualTo(2);
    }
  }
}
