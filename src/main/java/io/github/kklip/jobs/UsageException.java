package io.github.kklip.jobs;

import io.github.kklip.config.SettingsException;
import java.util.List;
import java.util.Optional;
import picocli.CommandLine.ParseResult;

/** A command line that cannot be used. */
final class UsageException extends Exception {
  private static final long serialVersionUID = 1L;

  private final String job;
  private final transient Optional<UserFile> result;

  /**
   * A refusal.
   *
   * @param read what could be read of the words
   */
  UsageException(List<String> words, Optional<ParseResult> read, SettingsException cause) {
    super(cause.getMessage(), cause);
    this.job = words.isEmpty() ? "" : words.get(0);
    this.result =
        read.filter(part -> part.commandSpec().findOption("--result") != null)
            .map(part -> part.matchedOptionValue("--result", (UserFile) null));
  }

  String job() {
    return job;
  }

  Optional<UserFile> result() {
    return result;
  }
}
