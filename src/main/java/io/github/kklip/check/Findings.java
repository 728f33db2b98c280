package io.github.kklip.check;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Settings;
import io.github.kklip.text.TokenizerException;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.time.Duration;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Makes checks one after the other and keeps what they find. Each has a limit of time; a storage
 * that let one wait for so long is not asked again, so that all together take no longer than the
 * limit for each storage that does not answer.
 */
final class Findings implements AutoCloseable {
  private static final Pattern STORAGE = Pattern.compile("^([A-Za-z][A-Za-z0-9+.-]*:/*[^/]*)");

  /** Something to look at. */
  interface Check<T> {
    T run() throws IOException;
  }

  /** Something that must hold, or throws. */
  interface Condition {
    void hold() throws IOException;
  }

  private final Duration limit;
  private final Set<String> messages = new LinkedHashSet<>();
  private final Set<String> warnings = new LinkedHashSet<>();
  private final Set<String> silent = new HashSet<>();
  private ExecutorService thread = newThread();

  Findings(Duration limit) {
    this.limit = limit;
  }

  private static ExecutorService newThread() {
    return Executors.newSingleThreadExecutor(
        task -> {
          Thread thread = new Thread(task, "kklip check");
          // One that waits for a storage must not keep the process.
          thread.setDaemon(true);
          return thread;
        });
  }

  /** The problems in the order in which they were found, each once. */
  List<String> messages() {
    return List.copyOf(messages);
  }

  /** Notes a problem. */
  void add(String message) {
    messages.add(message);
  }

  /** The warnings in the order in which they were given, each once. */
  List<String> warnings() {
    return List.copyOf(warnings);
  }

  /** Notes what is no problem yet. */
  void warn(String message) {
    warnings.add(message);
  }

  /** Whether a key that has to be set is. */
  boolean isSet(String key, String value) {
    return holds(
        key,
        "",
        () -> {
          String unused = Settings.required(value, key);
        });
  }

  /**
   * Makes a check.
   *
   * @param key the setting that it looks at
   * @param value of that setting; where it is a path, its storage is the one that is asked
   * @return whether there was no problem
   */
  boolean holds(String key, String value, Condition condition) {
    return look(
            key,
            value,
            () -> {
              condition.hold();
              return Boolean.TRUE;
            })
        .isPresent();
  }

  /** As {@link #holds}; what the check gave, empty when there was a problem or it gave null. */
  <T> Optional<T> look(String key, String value, Check<T> check) {
    String storage = storage(value);
    if (silent.contains(storage)) {
      return Optional.empty();
    }
    try {
      return Optional.ofNullable(within(check));
    } catch (TimeoutException e) {
      silent.add(storage);
      messages.add(
          message(
              "Cannot check %s = %s because its storage did not answer within %s seconds. Check the network, and the settings of the file system, such as its endpoint.",
              key, value, limit.toMillis() / 1e3));
    } catch (ExecutionException e) {
      messages.add(words(key, value, expected(e)));
    }
    return Optional.empty();
  }

  /** What a check gives when there is no problem; that there is one is none here. */
  <T> Optional<T> lookQuietly(String value, Check<T> check) {
    Set<String> before = new LinkedHashSet<>(messages);
    Optional<T> found = look("", value, check);
    messages.retainAll(before);
    return found;
  }

  private <T> T within(Check<T> check) throws TimeoutException, ExecutionException {
    Future<T> future = thread.submit(check::run);
    try {
      return future.get(limit.toMillis(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException e) {
      thread.shutdownNow();
      thread = newThread();
      throw e;
    } catch (InterruptedException e) {
      thread.shutdownNow();
      Thread.currentThread().interrupt();
      throw new IllegalStateException("Cannot check the job because the check was interrupted.", e);
    }
  }

  /** The cause, when it is of a kind that says something about settings and files. */
  private static Throwable expected(ExecutionException e) {
    Throwable cause = e.getCause();
    if (cause instanceof IOException
        || cause instanceof UncheckedIOException
        || cause instanceof IllegalArgumentException
        || cause instanceof IllegalStateException
        || cause instanceof TokenizerException
        || cause instanceof LinkageError) {
      return cause;
    }
    throw new IllegalStateException(message("Cannot check the job because of %s.", cause), cause);
  }

  /** A message of ours with the setting that it is about; what others say becomes the reason. */
  private static String words(String key, String value, Throwable problem) {
    String text = String.valueOf(problem.getMessage());
    if (!text.startsWith("Cannot ")) {
      return message(
          "Cannot use %s = %s because of %s. Check the path, its rights and its storage.",
          key, value, problem);
    }
    return text.contains(key) || value.isEmpty()
        ? text
        : message("%s The setting is %s = %s.", text, key, value);
  }

  private static String storage(String value) {
    Matcher matcher = STORAGE.matcher(value);
    return matcher.find() ? matcher.group(1) : "";
  }

  @Override
  public void close() {
    thread.shutdownNow();
  }
}
