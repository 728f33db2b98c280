package io.github.kklip.jobs;

import io.github.kklip.launch.Checkup;
import io.github.kklip.launch.Doctor;
import java.util.LinkedHashMap;
import java.util.Map;

/** Says what driver and executors have to compute with, what is wrong, and what to do. */
final class DoctorJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) {
    Doctor.Report report = Doctor.examine(context.javaSpark(), context.settings());
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("healthy", report.problems().isEmpty());
    fields.put("problems", report.problems());
    fields.put("spark", context.spark().version());
    fields.put("scala", scala.util.Properties$.MODULE$.versionNumberString());
    fields.put("master", context.javaSpark().master());
    fields.put("slots", report.slots());
    fields.put("processes", report.processes().stream().map(DoctorJob::fields).toList());
    if (!report.problems().isEmpty()) {
      fields.put(
          "error",
          "Training cannot be expected to work here because of this: "
              + String.join(" ", report.problems()));
    }
    return fields;
  }

  private static Map<String, Object> fields(Checkup checkup) {
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("where", checkup.where());
    fields.put("java", checkup.java());
    fields.put("processors", checkup.processors());
    fields.put("heap_mb", checkup.heapMb());
    fields.put("memory_mb", checkup.memoryMb());
    fields.put("libtorch", checkup.libtorch());
    fields.put("threads", checkup.threads());
    fields.put("device", checkup.device());
    fields.put("gpus", checkup.gpus());
    return fields;
  }
}
