package io.github.kklip.config;

import static io.github.kklip.config.Message.message;

import java.lang.reflect.RecordComponent;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * One key of the settings: a component of one of their records.
 *
 * @param path relative to {@code kklip.}, such as {@code train.loss.emb}
 * @param way the components that lead from {@link Settings} to the value; the last one is the key's
 */
record SettingKey(String path, List<RecordComponent> way) {
  /** All keys, in the order of the records. */
  static final List<SettingKey> ALL = all();

  private static List<SettingKey> all() {
    List<SettingKey> keys = new ArrayList<>();
    collect(Settings.class, "", List.of(), keys);
    return List.copyOf(keys);
  }

  private static void collect(
      Class<?> type, String prefix, List<RecordComponent> way, List<SettingKey> keys) {
    for (RecordComponent component : type.getRecordComponents()) {
      List<RecordComponent> further = new ArrayList<>(way);
      further.add(component);
      if (isSection(component)) {
        Key key = component.getAnnotation(Key.class);
        boolean flat = key != null && key.flat();
        collect(component.getType(), flat ? prefix : prefix + name(component) + ".", further, keys);
      } else {
        keys.add(new SettingKey(prefix + name(component), List.copyOf(further)));
      }
    }
  }

  /** The name of a component in a configuration: {@code minSide} is {@code min-side}. */
  static String name(RecordComponent component) {
    return component.getName().replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT);
  }

  /** Whether the component is a record of keys, not a key. */
  static boolean isSection(RecordComponent component) {
    return component.getType().isRecord() && component.getType() != AutoNumber.class;
  }

  Role[] roles() {
    return way.get(way.size() - 1).getAnnotationsByType(Role.class);
  }

  Object value(Settings settings) {
    Object value = settings;
    for (RecordComponent component : way) {
      value = get(component, value);
    }
    return value;
  }

  /** Whether the key means something to the format of {@code entry}, if it has one. */
  static boolean isOfFormat(RecordComponent component, Record entry) {
    Key key = component.getAnnotation(Key.class);
    if (key == null || key.formats().length == 0) {
      return true;
    }
    for (RecordComponent other : entry.getClass().getRecordComponents()) {
      if (other.getName().equals("format")) {
        return List.of(key.formats()).contains(Keyword.of((Enum<?>) get(other, entry)));
      }
    }
    throw new IllegalStateException(message("%s has no component format.", entry.getClass()));
  }

  /** The value of one component of a record. */
  static Object get(RecordComponent component, Object of) {
    try {
      return component.getAccessor().invoke(of);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(message("Cannot read %s of %s.", component, of), e);
    }
  }
}
