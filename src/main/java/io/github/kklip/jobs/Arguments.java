package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * The command line of a job: {@code JOB [--conf FILE]... [--set KEY=VALUE]... [--master URL]
 * [--spark KEY=VALUE]... [--result FILE]}.
 */
record Arguments(
    String job,
    List<Path> files,
    List<String> assignments,
    Optional<String> master,
    Map<String, String> spark,
    Optional<Path> result) {

  static Arguments parse(List<String> words) {
    if (words.isEmpty() || words.get(0).startsWith("-")) {
      throw new SettingsException(
          message("Cannot start without a job. Give one of %s.", String.join(", ", Jobs.names())));
    }
    List<Path> files = new ArrayList<>();
    List<String> assignments = new ArrayList<>();
    Map<String, String> spark = new LinkedHashMap<>();
    Optional<String> master = Optional.empty();
    Optional<Path> result = Optional.empty();
    for (int i = 1; i < words.size(); i += 2) {
      String option = words.get(i);
      if (!List.of("--conf", "--set", "--master", "--spark", "--result").contains(option)) {
        throw new SettingsException(
            message(
                "Cannot use the argument %s: the options are --conf FILE, --set KEY=VALUE, --master URL, --spark KEY=VALUE and --result FILE.",
                option));
      }
      if (i + 1 == words.size()) {
        throw new SettingsException(message("Cannot use %s: its value is missing.", option));
      }
      String value = words.get(i + 1);
      switch (option) {
        case "--conf" -> files.add(Path.of(value));
        case "--set" -> assignments.add(value);
        case "--master" -> master = Optional.of(value);
        case "--result" -> result = Optional.of(Path.of(value));
        default -> {
          int equals = value.indexOf('=');
          if (equals <= 0) {
            throw new SettingsException(
                message("Cannot use --spark %s: it must be KEY=VALUE.", value));
          }
          spark.put(value.substring(0, equals), value.substring(equals + 1));
        }
      }
    }
    return new Arguments(
        words.get(0),
        List.copyOf(files),
        List.copyOf(assignments),
        master,
        Map.copyOf(spark),
        result);
  }

  /** These arguments with more assignments, which win. */
  Arguments with(List<String> more) {
    List<String> all = new ArrayList<>(assignments);
    all.addAll(more);
    return new Arguments(job, files, List.copyOf(all), master, spark, result);
  }
}
