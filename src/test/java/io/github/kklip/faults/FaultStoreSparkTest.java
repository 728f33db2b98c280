package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.store.Reject;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardWriter;
import java.time.Duration;
import java.util.List;
import org.apache.spark.SparkException;
import org.apache.spark.sql.SparkSession;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Executors in the driver's process reach a store as the driver does, and meet its faults. */
class FaultStoreSparkTest {
  private final FaultStore store = FaultStore.open("spark", FaultStore.Rule.HDFS);
  private SparkSession spark;

  @BeforeEach
  void start() {
    SparkSession.Builder builder =
        SparkSession.builder()
            .master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.driver.host", "127.0.0.1")
            .config("spark.driver.bindAddress", "127.0.0.1");
    store.configure("job").forEach((key, value) -> builder.config("spark.hadoop." + key, value));
    spark = builder.getOrCreate();
  }

  @AfterEach
  void stop() {
    spark.stop();
    store.close();
  }

  @Test
  void sparkReadsParquetFromIt() throws Exception {
    for (String file : List.of("one", "two")) {
      try (ShardWriter<Reject> writer =
          new ShardWriter<>(
              store.configuration("writer"),
              store.path("rejects/" + file + ".parquet"),
              new RejectFormat(),
              8)) {
        writer.write(new Reject("unit", file, "reason", "detail"));
        writer.commit();
      }
    }

    assertThat(keys()).containsExactly("one", "two");
    assertThat(store.operations("job")).isPositive();
    store.inject(
        new Fault(Fault.Kind.CRASH, "job", store.operations("job") + 1, false, Duration.ZERO));
    assertThatThrownBy(this::keys)
        .satisfiesAnyOf(
            e -> assertThat(e).isInstanceOf(DeadProcessException.class),
            e ->
                assertThat(e)
                    .isInstanceOf(SparkException.class)
                    .hasRootCauseInstanceOf(DeadProcessException.class));
    store.restart(1);
    assertThat(keys()).containsExactly("one", "two");
  }

  private List<String> keys() {
    return spark
        .read()
        .parquet(store.path("rejects").toString())
        .select("key")
        .collectAsList()
        .stream()
        .map(row -> row.getString(0))
        .sorted()
        .toList();
  }
}
