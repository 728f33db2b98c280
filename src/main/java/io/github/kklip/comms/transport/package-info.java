/** What all transports share: operations, their shards, sums, timeouts, liveness. */
package io.github.kklip.comms.transport;
