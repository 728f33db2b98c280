package io.github.kklip.loss;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.ResidentMemory;
import io.github.kklip.tensor.Torch;
import org.junit.jupiter.api.Test;

class StudentStepTest {
  /**
   * 500 steps; one leaked array of this batch's activations per step would take 100 MiB and more.
   */
  @Test
  void nativeMemoryStaysFlatOverSteps() {
    Torch.start(1);
    try (StudentStep step = new StudentStep("tiny", 8, ElementType.FLOAT32, 12)) {
      double first = step.run();
      for (int i = 0; i < 100; i++) {
        step.run();
      }
      long before = ResidentMemory.kibibytes();
      double last = 0;
      for (int i = 0; i < 400; i++) {
        last = step.run();
      }
      long after = ResidentMemory.kibibytes();
      assertThat(after - before).as("growth in KiB").isLessThan(40_000);
      assertThat(last).as("loss").isLessThan(first);
    }
  }
}
