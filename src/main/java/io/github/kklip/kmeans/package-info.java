/**
 * The mathematics of k-means: blocks of rows, distances, Hamerly's bounds, passes, Lloyd's
 * algorithm.
 */
package io.github.kklip.kmeans;
