// Databricks notebook source
// MAGIC %md
// MAGIC # KKLIP: from caption-image pairs to a trained model
// MAGIC The cluster needs dedicated access mode, `kklip-0.1.0.jar` and `kklip-libtorch-cpu-2.7.1.jar` as libraries, and
// MAGIC `spark.task.cpus` equal to the cores of a worker (one rank for each executor).

// COMMAND ----------

import io.github.kklip.jobs.Kklip
val volume = "/Volumes/main/default/kklip"
val kklip = Kklip.on(spark).conf(s"$volume/kklip.conf")

// COMMAND ----------

// MAGIC %md Is everything there? Engine, devices, threads and memory of the driver and every executor.

// COMMAND ----------

Kklip.on(spark).doctor()

// COMMAND ----------

// MAGIC %md
// MAGIC Each stage by itself; a stage that is whole is skipped. Pairs in a Delta table are a source of the settings,
// MAGIC `{ format = spark, table = "main.vision.pairs" }`, and rows of any DataFrame one of the call:
// MAGIC `kklip.source("cc0", spark.table("main.vision.pairs").where("license = 'cc0'"), "image-column = jpg").ingest()`.
// MAGIC docs/sources.md has the keys, and what a later run reads.

// COMMAND ----------

kklip.ingest()

// COMMAND ----------

kklip.tokenizer()
kklip.embed()
kklip.cluster()

// COMMAND ----------

// MAGIC %md The dataset is ordinary Parquet.

// COMMAND ----------

display(spark.read.parquet(s"$volume/dataset/pairs/1").select("id", "caption", "width", "height"))

// COMMAND ----------

kklip.train()

// COMMAND ----------

val result = kklip.evaluate()
// The report may lie on any file system that Spark knows.
displayHTML(spark.read.option("wholetext", true).textFile(result.report).head())
