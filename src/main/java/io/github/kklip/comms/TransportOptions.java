package io.github.kklip.comms;

import io.github.kklip.config.TrainSettings;
import java.io.Serializable;

/**
 * How ranks may be connected; the same on all ranks, the GPU apart.
 *
 * @param transport the transport that must be used; automatic: the fastest that works
 * @param sharedFolder a folder in memory: ranks that see the same one share memory through it
 * @param encrypted whether what goes over TCP is encrypted
 * @param gpu the number of this rank's GPU; negative: it computes on the CPU
 */
public record TransportOptions(
    TrainSettings.TransportChoice transport, String sharedFolder, boolean encrypted, int gpu)
    implements Serializable {
  /** Where Linux has memory that processes share as files. */
  public static final String SHARED_FOLDER = "/dev/shm";

  /** The automatic choice without encryption. */
  public static final TransportOptions AUTO =
      new TransportOptions(TrainSettings.TransportChoice.AUTO, SHARED_FOLDER, false);

  /** On the CPU. */
  public TransportOptions(
      TrainSettings.TransportChoice transport, String sharedFolder, boolean encrypted) {
    this(transport, sharedFolder, encrypted, -1);
  }

  /** The same for a rank whose GPU has this number. */
  public TransportOptions withGpu(int number) {
    return new TransportOptions(transport, sharedFolder, encrypted, number);
  }
}
