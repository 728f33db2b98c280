/**
 * Starts the ranks of a training on Spark: pre-flight checks, barrier stage, rendezvous, devices.
 */
package io.github.kklip.launch;
