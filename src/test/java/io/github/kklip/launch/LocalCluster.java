package io.github.kklip.launch;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import org.apache.spark.SparkConf;
import org.apache.spark.api.java.JavaSparkContext;

/** Spark with executors that are processes of their own on this machine. */
public final class LocalCluster {
  private LocalCluster() {}

  /**
   * Starts it; up in some seconds. One context can be open in a process.
   *
   * @param conf settings that win over those made here
   */
  public static JavaSparkContext open(int executors, int cores, Map<String, String> conf)
      throws IOException {
    // The build points SPARK_HOME here. Spark wants to see a folder of jars, empty or not.
    Files.createDirectories(Path.of(System.getenv("SPARK_HOME"), "jars"));
    SparkConf all =
        new SparkConf()
            .setAppName("kklip test")
            .setMaster("local-cluster[" + executors + "," + cores + ",512]")
            .set("spark.executor.extraClassPath", System.getProperty("java.class.path"))
            .set("spark.executor.memory", "512m")
            .set("spark.executor.heartbeatInterval", "1s")
            .set("spark.driver.host", "127.0.0.1")
            .set("spark.driver.bindAddress", "127.0.0.1")
            .set("spark.ui.enabled", "false")
            .set("spark.barrier.sync.timeout", "60")
            .set("spark.task.reaper.enabled", "true")
            .set("spark.task.reaper.killTimeout", "20s");
    conf.forEach(all::set);
    return new JavaSparkContext(all);
  }
}
