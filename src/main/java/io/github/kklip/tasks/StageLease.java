package io.github.kklip.tasks;

import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.publication.ConditionalCreate;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.Takeover;
import java.io.Closeable;
import java.io.IOException;
import java.time.Duration;
import java.util.UUID;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.spark.SparkContext;
import org.apache.spark.api.java.JavaSparkContext;

/**
 * The lease of the folder that a stage writes to. When it is lost, the Spark jobs that this thread
 * has begun since are cancelled at once: their tasks would write what nobody reads any more.
 */
public final class StageLease implements Closeable {
  private final SparkContext spark;
  private final Lease lease;
  private final String tag = "kklip-lease-" + UUID.randomUUID();

  private StageLease(SparkContext spark, Lease lease) {
    this.spark = spark;
    this.lease = lease;
    spark.addJobTag(tag);
    lease.onLoss(this::cancel);
  }

  /**
   * Takes the lease of a folder ({@link Lease#acquire}). To be closed by the same thread.
   *
   * @throws io.github.kklip.store.publication.LeaseHeldException when another job holds it
   */
  public static StageLease acquire(
      JavaSparkContext spark, Configuration configuration, Path folder, String job, Duration expiry)
      throws IOException {
    return acquire(spark, configuration, folder, job, expiry, Takeover.AFTER_EXPIRY);
  }

  /** The same, with what becomes of a claim that is not renewed. */
  public static StageLease acquire(
      JavaSparkContext spark,
      Configuration configuration,
      Path folder,
      String job,
      Duration expiry,
      Takeover takeover)
      throws IOException {
    return new StageLease(spark.sc(), Lease.acquire(configuration, folder, job, expiry, takeover));
  }

  /**
   * Takes the lease of a part of a dataset; of all of it where its store has no conditional create:
   * there the lease alone keeps writers apart, and no claim on it goes over by itself.
   *
   * @param part the folder of the part
   */
  public static StageLease ofDataset(
      JavaSparkContext spark, DatasetFolder dataset, Path part, String job, Duration expiry)
      throws IOException {
    Configuration configuration = dataset.configuration();
    return ConditionalCreate.isPossible(configuration, dataset.root())
        ? acquire(spark, configuration, part, job, expiry)
        : acquire(spark, configuration, dataset.root(), job, expiry, Takeover.NEVER);
  }

  /** Throws when the lease was lost ({@link Lease#check}). */
  public void check() throws IOException {
    lease.check();
  }

  private void cancel() {
    String why = "the lease was lost";
    try {
      lease.check();
    } catch (IOException e) {
      why = e.getMessage();
    }
    spark.cancelJobsWithTag(tag, why);
  }

  @Override
  public void close() throws IOException {
    spark.removeJobTag(tag);
    lease.close();
  }
}
