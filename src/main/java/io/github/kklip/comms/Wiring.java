package io.github.kklip.comms;

import io.github.kklip.config.Settings;
import java.io.Serializable;

/**
 * How ranks may be connected; the same on all ranks.
 *
 * @param transport the transport that must be used; automatic: the fastest that works
 * @param sharedFolder a folder in memory: ranks that see the same one share memory through it
 * @param encrypted whether what goes over TCP is encrypted
 */
public record Wiring(Settings.Transport transport, String sharedFolder, boolean encrypted)
    implements Serializable {
  /** Where Linux has memory that processes share as files. */
  public static final String SHARED_FOLDER = "/dev/shm";

  /** The automatic choice without encryption. */
  public static final Wiring AUTO = new Wiring(Settings.Transport.AUTO, SHARED_FOLDER, false);
}
