package io.github.kklip.config;

import java.lang.reflect.ParameterizedType;
import java.lang.reflect.RecordComponent;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * A value for a key that is unlike its default and, but for flags and choices, unlike the values of
 * all other keys.
 *
 * @param path the key, relative to {@code kklip.}
 * @param typed the value in an assignment
 * @param value as the component has it; null: not compared
 */
public record ChangedSetting(String path, String typed, Object value) {
  static final List<ChangedSetting> ALL = all();

  public String assignment() {
    return path + "=" + typed;
  }

  /** Changes of the keys that count for a run by their own value, in this way. */
  public static List<ChangedSetting> ofRun(String kind) {
    return ofRun(kind, false);
  }

  /** Keys that count for a run by what stands for their value. */
  public static List<ChangedSetting> ofRunByContent(String kind) {
    return ofRun(kind, true);
  }

  private static List<ChangedSetting> ofRun(String kind, boolean byContent) {
    List<ChangedSetting> found = new ArrayList<>();
    for (int i = 0; i < ALL.size(); i++) {
      for (Role role : SettingKey.ALL.get(i).roles()) {
        if (List.of(role.value()).contains(Role.Output.RUN)
            && role.kind().name().equals(kind)
            && role.content().isEmpty() != byContent) {
          found.add(ALL.get(i));
        }
      }
    }
    return found;
  }

  private static List<ChangedSetting> all() {
    Settings defaults = Settings.load(List.of(), List.of());
    Set<Double> used = new HashSet<>();
    List<ChangedSetting> changed = new ArrayList<>();
    for (SettingKey key : SettingKey.ALL) {
      RecordComponent component = key.way().get(key.way().size() - 1);
      changed.add(of(key.path(), component, key.value(defaults), changed.size(), used));
    }
    return changed;
  }

  private static ChangedSetting of(
      String path, RecordComponent component, Object old, int index, Set<Double> used) {
    Key key = component.getAnnotation(Key.class);
    double min = key == null ? 0 : key.min();
    double max = key == null ? Double.MAX_VALUE : key.max();
    Class<?> type = component.getType();
    if (type == boolean.class) {
      return new ChangedSetting(path, String.valueOf(!(boolean) old), !(boolean) old);
    }
    if (type == int.class || type == long.class) {
      double value = whole(min, max, ((Number) old).doubleValue(), used);
      Object typed = type == int.class ? (Object) (int) value : (Object) (long) value;
      return new ChangedSetting(path, typed.toString(), typed);
    }
    if (type == double.class) {
      double value = min + (Math.min(max, min + 10) - min) * (0.301 + index * 1e-3);
      return new ChangedSetting(path, Double.toString(value), value);
    }
    if (type == AutoNumber.class) {
      // At most concepts.k, which may be changed too.
      double value = whole(min, 10, 0, used);
      return new ChangedSetting(path, Double.toString(value), new AutoNumber(false, value));
    }
    if (type == Duration.class) {
      return new ChangedSetting(
          path, (1000 + index) + " seconds", Duration.ofSeconds(1000 + index));
    }
    if (type.isEnum()) {
      List<String> choices = key == null ? List.of() : Arrays.asList(key.choices());
      for (Object constant : type.getEnumConstants()) {
        String keyword = Keyword.of((Enum<?>) constant);
        if (!constant.equals(old) && (choices.isEmpty() || choices.contains(keyword))) {
          return new ChangedSetting(path, keyword, constant);
        }
      }
    }
    if (type == String.class) {
      boolean resolved = key != null && key.text() == Key.TextForm.PATH;
      String typed = "x" + index;
      return new ChangedSetting(
          path, typed, resolved ? Path.of(typed).toAbsolutePath().toString() : typed);
    }
    if (type == List.class) {
      Class<?> entry =
          (Class<?>) ((ParameterizedType) component.getGenericType()).getActualTypeArguments()[0];
      boolean source = entry == IngestSettings.SourceSettings.class;
      return new ChangedSetting(
          path,
          "[{path=/x" + index + (source ? ", format=csv}]" : ", name=\"a \\\"b\\\"\"}]"),
          null);
    }
    throw new AssertionError("There is no other value for " + path);
  }

  private static double whole(double min, double max, double old, Set<Double> used) {
    // Small bounds from above, others from 17, so that small numbers are left for small bounds.
    for (double value = max <= 100 ? max : Math.max(min, 17);
        value >= min && value <= max;
        value += max <= 100 ? -1 : 1) {
      if (value != old && used.add(value)) {
        return value;
      }
    }
    throw new AssertionError("No number is left from " + min + " to " + max);
  }
}
