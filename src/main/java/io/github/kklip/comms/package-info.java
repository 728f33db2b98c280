/** Collective operations between the ranks of a training job. */
package io.github.kklip.comms;
