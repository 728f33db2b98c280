/**
 * Datasets on any Hadoop file system: folders, manifests, Parquet shards of pairs, rejects, vectors
 * and labels, their atomic publication and the lease that keeps two jobs apart.
 */
package io.github.kklip.store;
