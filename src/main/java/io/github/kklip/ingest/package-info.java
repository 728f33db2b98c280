/**
 * Raw caption-image pairs of several forms to a dataset of aligned shards, on Spark.
 *
 * <p>A {@link io.github.kklip.ingest.sources.SourceReader} turns a piece of a source into members,
 * {@link io.github.kklip.ingest.Screening} turns members into candidates, and {@link
 * io.github.kklip.ingest.IngestStage} shuffles, splits and writes them.
 */
package io.github.kklip.ingest;
