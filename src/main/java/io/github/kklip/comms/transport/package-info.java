/** What all transports share: operations, their parts, sums, timeouts, liveness. */
package io.github.kklip.comms.transport;
