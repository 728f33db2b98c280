/** What starts ranks and shard tasks on Spark: barrier launch, rendezvous, devices, pre-flight. */
package io.github.kklip.cluster;
