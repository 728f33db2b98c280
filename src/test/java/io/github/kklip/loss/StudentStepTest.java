package io.github.kklip.loss;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;

class StudentStepTest {
  /**
   * 500 steps; one leaked array of this batch's activations per step would take 100 MiB and more.
   * The Java objects of the steps may lie on pages of the heap that nothing had touched before:
   * they are taken off.
   */
  @Test
  void nativeMemoryStaysFlatOverSteps() throws IOException {
    Torch.start(1);
    try (StudentStep step = new StudentStep("tiny", 8, ElementType.FLOAT32, 12)) {
      double first = step.run();
      for (int i = 0; i < 100; i++) {
        step.run();
      }
      long before = StudentStep.kibibytes("VmRSS") - allocatedKibibytes();
      double last = 0;
      for (int i = 0; i < 400; i++) {
        last = step.run();
      }
      long after = StudentStep.kibibytes("VmRSS") - allocatedKibibytes();
      assertThat(after - before).as("growth in KiB").isLessThan(40_000);
      assertThat(last).as("loss").isLessThan(first);
    }
  }

  /** What this thread has put on the heap so far. */
  private static long allocatedKibibytes() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    return threads.getCurrentThreadAllocatedBytes() / 1024;
  }
}
