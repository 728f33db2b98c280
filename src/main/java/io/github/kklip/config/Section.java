package io.github.kklip.config;

import static io.github.kklip.config.Message.message;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalDouble;
import java.util.function.Function;

/**
 * One section of the configuration. Every reader checks type and range, and its error names the
 * key, the value and what is allowed.
 */
final class Section {
  private final Config config;
  private final String path;

  Section(Config config, String path) {
    this.config = config;
    this.path = path;
  }

  Section section(String key) {
    return new Section(typed(key, config::getConfig), name(key));
  }

  List<Section> list(String key) {
    List<? extends Config> entries = typed(key, config::getConfigList);
    return java.util.stream.IntStream.range(0, entries.size())
        .mapToObj(i -> new Section(entries.get(i), name(key) + "[" + i + "]"))
        .toList();
  }

  boolean has(String key) {
    return config.hasPath(key);
  }

  /**
   * Refuses every key that is not one of {@code allowed}. For list entries, which have no defaults
   * to compare with.
   */
  void only(String... allowed) {
    for (String key : config.root().keySet()) {
      if (!Arrays.asList(allowed).contains(key)) {
        throw new SettingsException(
            Nearest.unknownKey(name(key), path + ".", Arrays.asList(allowed)));
      }
    }
  }

  String text(String key) {
    return typed(key, config::getString);
  }

  String text(String key, String absent) {
    return has(key) ? text(key) : absent;
  }

  /**
   * A path. A relative one of the local file system becomes absolute here, where the user's working
   * directory is known: executors run elsewhere. Empty stays empty.
   */
  String path(String key) {
    String value = text(key);
    boolean remote = value.matches("[A-Za-z][A-Za-z0-9+.-]*:.*");
    return value.isEmpty() || remote
        ? value
        : Path.of(value).toAbsolutePath().normalize().toString();
  }

  List<String> texts(String key, List<String> absent) {
    return has(key) ? List.copyOf(typed(key, config::getStringList)) : absent;
  }

  boolean flag(String key) {
    return typed(key, config::getBoolean);
  }

  int integer(String key, int min, int max) {
    return (int) whole(key, min, max);
  }

  long whole(String key, long min, long max) {
    long value = typed(key, config::getLong);
    check(
        key,
        value,
        value >= min && value <= max,
        "a whole number from " + min + " to " + bound(max));
    return value;
  }

  /** A number in [min, max]. */
  double number(String key, double min, double max) {
    double value = typed(key, config::getDouble);
    check(
        key,
        value,
        value >= min && value <= max,
        "a number "
            + (max == Double.MAX_VALUE ? "of at least " + min : "from " + min + " to " + max));
    return value;
  }

  /** A number in [min, max], or {@code auto}, which is empty. */
  OptionalDouble numberOrAuto(String key, double min, double max) {
    return text(key).equals("auto")
        ? OptionalDouble.empty()
        : OptionalDouble.of(number(key, min, max));
  }

  long bytes(String key, long min) {
    long value = typed(key, config::getBytes);
    check(key, value, value >= min, "a size of at least " + min + " bytes, such as 64 MiB");
    return value;
  }

  Duration duration(String key) {
    Duration value = typed(key, config::getDuration);
    check(key, value, value.toMillis() > 0, "a positive duration, such as 2 minutes");
    return value;
  }

  /** A constant of the enum, written in lower case with hyphens. */
  <E extends Enum<E>> E choice(String key, Class<E> type) {
    String value = text(key);
    for (E constant : type.getEnumConstants()) {
      if (Settings.keyword(constant).equals(value)) {
        return constant;
      }
    }
    throw invalid(
        key,
        value,
        message(
            "one of %s",
            String.join(
                ", ", Arrays.stream(type.getEnumConstants()).map(Settings::keyword).toList())));
  }

  SettingsException invalid(String key, Object value, String allowed) {
    return new SettingsException(
        message("Cannot use %s = %s: it must be %s.", name(key), value, allowed));
  }

  void check(String key, Object value, boolean valid, String allowed) {
    if (!valid) {
      throw invalid(key, value, allowed);
    }
  }

  private static String bound(long max) {
    return max == Long.MAX_VALUE || max == Integer.MAX_VALUE ? "any" : Long.toString(max);
  }

  private String name(String key) {
    return path + "." + key;
  }

  private <T> T typed(String key, Function<String, T> reader) {
    try {
      return reader.apply(key);
    } catch (ConfigException.Missing e) {
      throw new SettingsException(
          message("Cannot go on without %s: it has no value.", name(key)), e);
    } catch (ConfigException e) {
      throw new SettingsException(
          message(
              "Cannot read %s = %s: %s", name(key), config.getValue(key).render(), e.getMessage()),
          e);
    }
  }
}
