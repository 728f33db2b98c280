package io.github.kklip.jobs;

import com.fasterxml.jackson.annotation.JsonIgnoreProperties;
import io.github.kklip.launch.Checkup;
import java.util.List;

/**
 * What {@code doctor} found.
 *
 * @param healthy whether nothing is wrong
 * @param problems what is wrong, and what to do
 * @param spark its version
 * @param scala its version
 * @param slots ranks that fit
 * @param processes the driver and the executors
 */
public record DoctorSummary(
    boolean healthy,
    List<String> problems,
    String spark,
    String scala,
    String master,
    int slots,
    @JsonIgnoreProperties("problems") List<Checkup> processes) {
  public DoctorSummary {
    problems = List.copyOf(problems);
    processes = List.copyOf(processes);
  }
}
