/**
 * What can be known before Spark starts: whether a job's settings, files, older outputs and machine
 * fit together. The checks are those of the stages; here they are made together, on few requests.
 */
package io.github.kklip.check;
