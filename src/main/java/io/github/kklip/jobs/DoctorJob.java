package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.launch.Doctor;
import java.util.List;
import java.util.Optional;

/** Says what driver and executors have to compute with, what is wrong, and what to do. */
final class DoctorJob implements Job<DoctorSummary> {
  @Override
  public String purpose() {
    return "Shows engine, libtorch, threads, memory and devices of the driver and every executor.";
  }

  @Override
  public List<String> settings() {
    return List.of(
        "threads",
        "train.ranks",
        "train.restarts",
        "train.rendezvous-timeout",
        "train.step-timeout",
        "train.heartbeat-timeout",
        "train.port",
        "train.transport",
        "train.shared-folder",
        "train.encryption");
  }

  @Override
  public DoctorSummary run(JobContext context) {
    Doctor.DoctorReport report = Doctor.examine(context.javaSpark(), context.settings());
    return new DoctorSummary(
        report.problems().isEmpty(),
        report.problems(),
        context.spark().version(),
        scala.util.Properties$.MODULE$.versionNumberString(),
        context.javaSpark().master(),
        report.slots(),
        report.processes());
  }

  @Override
  public Optional<String> failure(DoctorSummary result) {
    return result.healthy()
        ? Optional.empty()
        : Optional.of(
            message(
                "Training cannot be expected to work here because of this: %s",
                String.join(" ", result.problems())));
  }
}
