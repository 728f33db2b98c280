// Databricks notebook source
// MAGIC %md
// MAGIC # KKLIP: from caption-image pairs to a trained model
// MAGIC The cluster needs dedicated access mode, `kklip-0.1.0.jar` and `kklip-libtorch-cpu-2.7.1.jar` as libraries, and
// MAGIC `spark.task.cpus` equal to the cores of a worker (one rank for each executor).

// COMMAND ----------

import io.github.kklip.jobs.Main
val volume = "/Volumes/main/default/kklip"

// COMMAND ----------

// MAGIC %md Is everything there? Engine, devices, threads and memory of the driver and every executor.

// COMMAND ----------

Main.run(spark, "doctor")

// COMMAND ----------

// MAGIC %md Each stage by itself; a stage that is whole is skipped.

// COMMAND ----------

Main.run(spark, "ingest", "--conf", s"$volume/kklip.conf")

// COMMAND ----------

Main.run(spark, "tokenizer", "--conf", s"$volume/kklip.conf")
Main.run(spark, "embed", "--conf", s"$volume/kklip.conf")
Main.run(spark, "cluster", "--conf", s"$volume/kklip.conf")

// COMMAND ----------

// MAGIC %md The dataset is ordinary Parquet.

// COMMAND ----------

display(spark.read.parquet(s"$volume/dataset/pairs").select("id", "caption", "width", "height"))

// COMMAND ----------

Main.run(spark, "train", "--conf", s"$volume/kklip.conf")

// COMMAND ----------

val result = Main.run(spark, "evaluate", "--conf", s"$volume/kklip.conf")
// The report may lie on any file system that Spark knows.
displayHTML(spark.read.option("wholetext", true).textFile(result.get("report").toString).head())
