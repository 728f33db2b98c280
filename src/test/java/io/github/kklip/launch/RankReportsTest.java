package io.github.kklip.launch;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.progress.Counts;
import io.github.kklip.progress.Reading;
import io.github.kklip.train.metrics.StepReport;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class RankReportsTest {
  @Test
  void theDriverIsToldLinesAndReadings() {
    List<Object> told = new ArrayList<>();
    RankReports reports =
        new RankReports(
            new RankProgress() {
              @Override
              public void line(String line) {
                told.add(line);
              }

              @Override
              public void at(Reading reading, double epoch) {
                told.add(reading);
                told.add(epoch);
              }
            });
    reports.started(10, 100, 4.16);
    reports.step(
        new StepReport(
            20,
            100,
            0.5,
            3.25,
            new TreeMap<>(Map.of("contrastive", 3.0, "emb", 0.25)),
            2.659,
            1e-4,
            1.5,
            2,
            80,
            0.031));
    reports.checkpoint(20, "/runs/a/checkpoints/step-20");
    assertThat(told)
        .containsExactly(
            "training begins at step 10 of 100",
            new Reading(new Counts(10, 10, 0, 0), 100, ""),
            0.0,
            new Reading(
                new Counts(20, 10, 0, 2),
                100,
                "epoch 0.50, loss 3.2500 (contrastive 3.0000, emb 0.2500), logit scale 2.659, 80.0 pairs/s, waiting for data 3.1 %"),
            0.5,
            "checkpoint of step 20: /runs/a/checkpoints/step-20");
  }
}
