/** Ranks of one machine in shared memory. */
package io.github.kklip.comms.memory;
