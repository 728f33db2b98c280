/** Ranks in a ring over TCP: rendezvous, handshake, encryption, heartbeats. */
package io.github.kklip.comms.tcp;
