package io.github.kklip.kmeans;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.tensor.TestDevice;
import java.util.Arrays;
import java.util.List;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** The GPU of {@link TestDevice} against the CPU. */
@Tag("gpu")
class DistancesGpuTest {
  private static final int DIMENSION = 64;
  private static final int K = 100;

  /** Near ties too: half of the centres stand beside one of the others. */
  private static Centres centres(VectorBlock block) {
    float[] values = Arrays.copyOf(block.values(), K * DIMENSION);
    for (int j = 0; j < K / 2 * DIMENSION; j++) {
      values[K / 2 * DIMENSION + j] = Math.nextUp(values[j]);
    }
    return new Centres(K, DIMENSION, values);
  }

  @Test
  void everyRowGoesWhereTheCpuPutsIt() {
    List<VectorBlock> blocks = RandomRows.blocks(8, 1000, DIMENSION, 30, 3);
    Centres centres = centres(blocks.get(0));
    try (Distances cpu = new Distances(centres, 1);
        Distances gpu = new Distances(centres, 1, TestDevice.NAME)) {
      int[] far = {3, 17, 99};
      for (VectorBlock block : blocks) {
        assertThat(gpu.assign(block)).isEqualTo(cpu.assign(block));
        float[] squared = cpu.squared(block);
        double[] lower = gpu.lower(block, far, block.squares());
        for (int row = 0; row < block.rows(); row++) {
          int at = row * K;
          double nearest =
              Math.sqrt(Arrays.stream(far).mapToDouble(c -> squared[at + c]).min().orElseThrow());
          assertThat(lower[row]).isBetween(nearest - 1e-2, nearest + 1e-3);
        }
      }
    }
  }
}
