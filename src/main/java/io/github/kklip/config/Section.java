package io.github.kklip.config;

import static io.github.kklip.config.Message.message;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigRenderOptions;
import com.typesafe.config.ConfigValue;
import com.typesafe.config.ConfigValueType;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.math.BigDecimal;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.function.Function;

/**
 * One section of the configuration, read into a record: a component's type decides how its key is
 * read, {@link Key} what it may be. An error names the key, the value as it was typed, and what is
 * allowed.
 */
final class Section {
  /** A record whose values must fit to each other. */
  interface Checked {
    /** Refuses values that do not fit to each other, by {@link Section#require}. */
    void check(Section section);
  }

  private static final Map<String, Boolean> FLAGS =
      Map.of("true", true, "yes", true, "on", true, "false", false, "no", false, "off", false);

  private final Config config;
  private final String path;

  Section(Config config, String path) {
    this.config = config;
    this.path = path;
  }

  /** The record of this section. */
  <T extends Record> T read(Class<T> type) {
    RecordComponent[] components = type.getRecordComponents();
    Object[] values = new Object[components.length];
    Class<?>[] types = new Class<?>[components.length];
    for (int i = 0; i < components.length; i++) {
      types[i] = components[i].getType();
      values[i] = value(components[i]);
    }
    T read;
    try {
      read = type.getDeclaredConstructor(types).newInstance(values);
    } catch (InvocationTargetException e) {
      throw new IllegalStateException(message("The constructor of %s fails.", type), e.getCause());
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(message("%s has no constructor to call.", type), e);
    }
    if (read instanceof Checked checked) {
      checked.check(this);
    }
    return read;
  }

  /** Refuses the key's value unless {@code valid}. */
  void require(boolean valid, String key, String allowed) {
    if (!valid) {
      throw invalid(key, allowed);
    }
  }

  private Object value(RecordComponent component) {
    String name = SettingKey.name(component);
    Key key = component.getAnnotation(Key.class);
    Class<?> type = component.getType();
    if (key != null && key.flat()) {
      return read(type.asSubclass(Record.class));
    }
    if (type == AutoNumber.class) {
      boolean auto = typed(name).equals("auto");
      return new AutoNumber(auto, auto ? 0 : number(name, key, "auto or "));
    }
    if (SettingKey.isSection(component)) {
      return new Section(hocon(name, config::getConfig, "a section { ... }"), name(name))
          .read(type.asSubclass(Record.class));
    }
    if (type == List.class) {
      return list(name, component);
    }
    if (type == long.class && key != null && key.bytes()) {
      return bytes(name, key);
    }
    if (type == int.class) {
      return (int) whole(name, key, Integer.MAX_VALUE);
    }
    if (type == long.class) {
      return whole(name, key, Long.MAX_VALUE);
    }
    if (type == double.class) {
      return number(name, key, "");
    }
    if (type == boolean.class) {
      Boolean flag = FLAGS.get(typed(name));
      require(flag != null, name, "true or false");
      return flag;
    }
    if (type == Duration.class) {
      return duration(name);
    }
    if (type.isEnum()) {
      return choice(name, key, type);
    }
    if (type == String.class) {
      return text(name, key == null ? Key.TextForm.PLAIN : key.text());
    }
    throw new IllegalStateException(message("Nothing reads %s for %s.", type, name(name)));
  }

  private List<?> list(String key, RecordComponent component) {
    Class<?> type =
        (Class<?>) ((ParameterizedType) component.getGenericType()).getActualTypeArguments()[0];
    if (type == String.class) {
      return List.copyOf(hocon(key, config::getStringList, "a list of texts"));
    }
    Class<? extends Record> record = type.asSubclass(Record.class);
    List<? extends Config> entries = hocon(key, config::getConfigList, "a list of { ... }");
    List<Record> values = new ArrayList<>();
    for (int i = 0; i < entries.size(); i++) {
      values.add(entry(entries.get(i), name(key) + "[" + i + "]", record));
    }
    return List.copyOf(values);
  }

  private static <T extends Record> T entry(Config config, String path, Class<T> type) {
    List<String> known = new ArrayList<>();
    Config whole = config;
    for (RecordComponent component : type.getRecordComponents()) {
      String name = SettingKey.name(component);
      known.add(name);
      Key key = component.getAnnotation(Key.class);
      if (key != null && !key.absent().isEmpty()) {
        whole = whole.withFallback(ConfigFactory.parseString(name + " = " + key.absent()));
      }
    }
    for (String key : config.root().keySet()) {
      if (!known.contains(key)) {
        throw new SettingsException(KeyHint.unknown(path + ".", key, known));
      }
    }
    T read = new Section(whole, path).read(type);
    refuseKeysOfOtherFormats(config, path, read);
    return read;
  }

  /** A key that the entry's format would pass over is a mistake. */
  private static void refuseKeysOfOtherFormats(Config config, String path, Record entry) {
    List<String> known =
        Arrays.stream(entry.getClass().getRecordComponents())
            .filter(component -> SettingKey.isOfFormat(component, entry))
            .map(SettingKey::name)
            .toList();
    for (String key : config.root().keySet()) {
      if (!known.contains(key)) {
        throw new SettingsException(
            message(
                "Cannot use %s.%s because a %s source has no such key. Remove it; the keys of this format are %s.",
                path, key, config.getString("format"), String.join(", ", known)));
      }
    }
  }

  private String text(String key, Key.TextForm kind) {
    String value = typed(key);
    return switch (kind) {
      case PLAIN -> value;
      case PATH -> path(value);
      case NAME_OR_PATH -> value.contains("/") || value.endsWith(".json") ? path(value) : value;
      case FOLDER_NAME -> {
        require(
            value.matches("[A-Za-z0-9][A-Za-z0-9._-]*"), key, "letters, digits, '.', '_' and '-'");
        yield value;
      }
    };
  }

  /**
   * A relative path of the local file system becomes absolute here, where the user's working
   * directory is known: executors run elsewhere. Empty stays empty.
   */
  private static String path(String value) {
    boolean remote = value.matches("[A-Za-z][A-Za-z0-9+.-]*:.*");
    return value.isEmpty() || remote
        ? value
        : Path.of(value).toAbsolutePath().normalize().toString();
  }

  private long whole(String name, Key key, long bound) {
    long min = key == null ? 0 : (long) key.min();
    long max = key == null || key.max() > bound - 1.0 ? bound : (long) key.max();
    String allowed =
        max == bound
            ? message("a whole number of at least %s", min)
            : message("a whole number from %s to %s", min, max);
    try {
      long value = new BigDecimal(typed(name)).longValueExact();
      require(value >= min && value <= max, name, allowed);
      return value;
    } catch (ArithmeticException | NumberFormatException e) {
      throw invalid(name, allowed);
    }
  }

  private double number(String name, Key key, String or) {
    double min = key == null ? 0 : key.min();
    double max = key == null ? Double.MAX_VALUE : key.max();
    String allowed =
        max == Double.MAX_VALUE
            ? message("%sa number of at least %s", or, plain(min))
            : message("%sa number from %s to %s", or, plain(min), plain(max));
    try {
      double value = Double.parseDouble(typed(name));
      require(value >= min && value <= max, name, allowed);
      return value;
    } catch (NumberFormatException e) {
      throw invalid(name, allowed);
    }
  }

  private static String plain(double value) {
    return value % 1 == 0 && Math.abs(value) < 1e15
        ? Long.toString((long) value)
        : Double.toString(value);
  }

  private long bytes(String name, Key key) {
    String allowed = message("a size of at least %s bytes, such as 64 MiB", plain(key.min()));
    long value = hocon(name, config::getBytes, allowed);
    require(value >= key.min(), name, allowed);
    return value;
  }

  private Duration duration(String key) {
    String allowed = "a positive duration, such as 2 minutes";
    Duration value = hocon(key, config::getDuration, allowed);
    require(value.toMillis() > 0, key, allowed);
    return value;
  }

  private Object choice(String name, Key key, Class<?> type) {
    List<String> allowed =
        key != null && key.choices().length > 0
            ? List.of(key.choices())
            : Arrays.stream(type.getEnumConstants())
                .map(constant -> Keyword.of((Enum<?>) constant))
                .toList();
    String value = typed(name);
    for (Object constant : type.getEnumConstants()) {
      if (allowed.contains(value) && Keyword.of((Enum<?>) constant).equals(value)) {
        return constant;
      }
    }
    throw invalid(name, "one of " + String.join(", ", allowed));
  }

  /** What HOCON reads, if it can. */
  private <T> T hocon(String key, Function<String, T> reader, String allowed) {
    try {
      return reader.apply(key);
    } catch (ConfigException.Missing e) {
      throw missing(key);
    } catch (ConfigException e) {
      throw invalid(key, allowed);
    }
  }

  /** The value as it was typed, without quotes. */
  private String typed(String key) {
    ConfigValue value = config.root().get(key);
    if (value == null || value.valueType() == ConfigValueType.NULL) {
      throw missing(key);
    }
    return value.valueType() == ConfigValueType.STRING
        ? (String) value.unwrapped()
        : value.render(ConfigRenderOptions.concise());
  }

  private SettingsException missing(String key) {
    return new SettingsException(message("Cannot go on without %s: it has no value.", name(key)));
  }

  private SettingsException invalid(String key, String allowed) {
    return new SettingsException(
        message("Cannot use %s = %s: it must be %s.", name(key), typed(key), allowed));
  }

  private String name(String key) {
    return path + "." + key;
  }
}
