/** Parquet shards of pairs, rejects, vectors and labels, by row groups. */
package io.github.kklip.store.shards;
