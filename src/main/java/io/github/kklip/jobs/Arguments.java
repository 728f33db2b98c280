package io.github.kklip.jobs;

import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * What a job was called with.
 *
 * @param files of settings; a later one wins
 * @param assignments {@code KEY=VALUE}, which win over the files
 * @param spark Spark's own settings
 * @param result the file that also gets what the RESULT line says
 * @param stacktrace whether an error is shown with its stack trace
 * @param options those that the job alone has, by name; without a value: empty
 * @param words without a name
 */
record Arguments(
    String job,
    List<UserFile> files,
    List<String> assignments,
    Optional<String> master,
    Map<String, String> spark,
    Optional<UserFile> result,
    boolean stacktrace,
    Map<String, String> options,
    List<String> words) {
  Arguments {
    files = List.copyOf(files);
    assignments = List.copyOf(assignments);
    spark = Collections.unmodifiableMap(new LinkedHashMap<>(spark));
    options = Collections.unmodifiableMap(new LinkedHashMap<>(options));
    words = List.copyOf(words);
  }

  /** Arguments of a job that is called by a program. */
  Arguments(String job, List<UserFile> files, List<String> assignments) {
    this(
        job,
        files,
        assignments,
        Optional.empty(),
        Map.of(),
        Optional.empty(),
        false,
        Map.of(),
        List.of());
  }

  /** These arguments with other files. */
  Arguments withFiles(List<UserFile> other) {
    return new Arguments(
        job, other, assignments, master, spark, result, stacktrace, options, words);
  }

  /** These arguments with more assignments, which win. */
  Arguments with(List<String> more) {
    List<String> all = new ArrayList<>(assignments);
    all.addAll(more);
    return new Arguments(job, files, all, master, spark, result, stacktrace, options, words);
  }

  /** These arguments with an option of the job. */
  Arguments withOption(String name, String value) {
    Map<String, String> more = new LinkedHashMap<>(options);
    more.put(name, value);
    return new Arguments(job, files, assignments, master, spark, result, stacktrace, more, words);
  }

  /** These arguments with words without a name. */
  Arguments withWords(List<String> other) {
    return new Arguments(
        job, files, assignments, master, spark, result, stacktrace, options, other);
  }

  /** Whether an option of the job was given. */
  boolean has(String option) {
    return options.containsKey(option);
  }
}
