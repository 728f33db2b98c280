package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.train.TrainResult;
import io.github.kklip.train.metrics.StepReport;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class TrainJobTest {
  private static TrainResult stoppedAt(long step) {
    StepReport last = new StepReport(step, 100, 1, 1, new TreeMap<>(), 2.6, 1e-3, 1, 0, 10, 0);
    return new TrainResult(last, null, false, 0, "file:/run/step", step);
  }

  @Test
  void theMessageComparesTheStepThatWasReportedWithTheCheckpoints() {
    assertThat(TrainJob.stopped(stoppedAt(42).reported(40)))
        .isEqualTo(
            "Stopped as asked after step 42, with all that was learned in the checkpoint"
                + " file:/run/step. Start the same command to go on.");
    assertThat(TrainJob.stopped(stoppedAt(42).reported(100)))
        .isEqualTo(
            "Stopped as asked, but the checkpoint file:/run/step is of step 42, and step 100 had"
                + " been reported: a rank was lost in between. Start the same command: it does those"
                + " steps again and goes on.");
  }
}
