package io.github.kklip.concept;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.Lloyd;
import io.github.kklip.kmeans.ParallelStart;
import io.github.kklip.kmeans.RandomRows;
import io.github.kklip.kmeans.RowStatistics;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.kmeans.VectorRows;
import java.util.List;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.apache.spark.storage.RDDInfo;
import org.junit.jupiter.api.Test;

class SparkRowsTest {
  private static final int K = 8;

  @Test
  void rowsThatDoNotFitIntoMemoryAreOnDiskAndTheAnswerIsTheSame() {
    List<VectorBlock> blocks = RandomRows.blocks(8, 1024, 64, K, 3);
    Lloyd.LloydResult local = cluster(RandomRows.dealt(blocks, 1));

    // The rows take 2 MiB; executor memory for them is about a third of that.
    SparkConf small =
        new SparkConf()
            .setMaster("local[2]")
            .setAppName("spill")
            .set("spark.ui.enabled", "false")
            .set("spark.testing.memory", Integer.toString(1 << 20))
            .set("spark.testing.reservedMemory", "0");
    try (JavaSparkContext spark = new JavaSparkContext(small);
        SparkRows rows = SparkRows.of(spark, spark.parallelize(blocks, 16), 1)) {
      Lloyd.LloydResult spilled = cluster(rows);

      RDDInfo[] stored = spark.sc().getRDDStorageInfo();
      assertThat(stored).hasSize(1);
      assertThat(stored[0].numCachedPartitions()).isEqualTo(16);
      assertThat(stored[0].diskSize()).isGreaterThan(1 << 20);
      assertThat(spilled.centres().values()).isEqualTo(local.centres().values());
      assertThat(spilled.inertia()).isEqualTo(local.inertia());
    }
  }

  private static Lloyd.LloydResult cluster(VectorRows rows) {
    RowStatistics totals = RowStatistics.of(rows);
    Centres start = ParallelStart.centres(rows, totals, K, 2, 7);
    return Lloyd.run(Lloyd.gemm(rows, totals), start, 4, 0);
  }
}
