/**
 * Starts the ranks of a training on Spark: checkup of the machines, barrier stage, rendezvous,
 * devices.
 */
package io.github.kklip.launch;
