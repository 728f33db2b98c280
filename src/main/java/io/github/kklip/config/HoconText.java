package io.github.kklip.config;

import com.typesafe.config.ConfigUtil;
import java.lang.reflect.RecordComponent;
import java.time.Duration;
import java.util.List;
import java.util.stream.Collectors;

/** Settings as HOCON. */
final class HoconText {
  private HoconText() {}

  /**
   * The settings that differ from the defaults.
   *
   * @param defaults null: all settings
   */
  static String of(Settings settings, Settings defaults) {
    return "kklip {\n" + section(settings, defaults, "  ") + "}\n";
  }

  private static String section(Record record, Record defaults, String indent) {
    StringBuilder text = new StringBuilder();
    for (RecordComponent component : record.getClass().getRecordComponents()) {
      if (!SettingKey.isOfFormat(component, record)) {
        continue;
      }
      Object value = SettingKey.get(component, record);
      Object absent = defaults == null ? null : SettingKey.get(component, defaults);
      if (value.equals(absent)) {
        continue;
      }
      String name = SettingKey.name(component);
      Key key = component.getAnnotation(Key.class);
      if (!SettingKey.isSection(component)) {
        text.append(indent).append(name).append(" = ").append(value(value)).append('\n');
      } else if (key != null && key.flat()) {
        text.append(section((Record) value, (Record) absent, indent));
      } else {
        text.append(indent).append(name).append(" {\n");
        text.append(section((Record) value, (Record) absent, indent + "  "))
            .append(indent)
            .append("}\n");
      }
    }
    return text.toString();
  }

  private static String value(Object value) {
    if (value instanceof String text) {
      return ConfigUtil.quoteString(text);
    }
    if (value instanceof Enum<?> constant) {
      return Keyword.of(constant);
    }
    if (value instanceof Duration duration) {
      return duration.toMillis() % 1000 == 0
          ? duration.toSeconds() + " seconds"
          : duration.toNanos() + " nanoseconds";
    }
    if (value instanceof AutoNumber number) {
      return number.text();
    }
    if (value instanceof List<?> list) {
      return list.stream().map(HoconText::value).collect(Collectors.joining(", ", "[", "]"));
    }
    if (value instanceof Record entry) {
      return "{\n" + section(entry, null, "    ") + "  }";
    }
    return String.valueOf(value);
  }
}
