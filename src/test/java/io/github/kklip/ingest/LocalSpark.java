package io.github.kklip.ingest;

import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;
import org.junit.jupiter.api.extension.AfterAllCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/** A Spark context for one class of tests: a virtual machine has one at a time. */
public final class LocalSpark implements AfterAllCallback {
  private static JavaSparkContext context;

  public static synchronized JavaSparkContext get() {
    if (context == null) {
      context =
          new JavaSparkContext(
              new SparkConf()
                  .setMaster("local[2]")
                  .setAppName("ingest tests")
                  .set("spark.ui.enabled", "false")
                  .set("spark.driver.host", "127.0.0.1")
                  .set("spark.driver.bindAddress", "127.0.0.1"));
    }
    return context;
  }

  @Override
  public void afterAll(ExtensionContext ignored) {
    stop();
  }

  private static synchronized void stop() {
    if (context != null) {
      context.stop();
      context = null;
    }
  }
}
