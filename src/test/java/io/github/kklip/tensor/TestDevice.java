package io.github.kklip.tensor;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;

/**
 * Where tests compute that are not about a device: on the CPU, or with {@code
 * -Dkklip.device=cuda:N} on a GPU. What they compare with stays the same.
 */
public final class TestDevice {
  public static final String NAME = System.getProperty("kklip.device", "cpu");

  private TestDevice() {}

  public static Device get() {
    return Torch.device(NAME);
  }

  public static NDManager manager() {
    return Torch.manager(get());
  }
}
