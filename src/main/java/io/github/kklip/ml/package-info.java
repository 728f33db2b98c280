/**
 * Spark ML transformers over the same code as the jobs, for pipelines and notebooks: captions and
 * images to the student's embeddings, captions to the teacher's.
 */
package io.github.kklip.ml;
