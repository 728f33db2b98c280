package io.github.kklip.jobs;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigRenderOptions;
import com.typesafe.config.ConfigValue;
import com.typesafe.config.ConfigValueFactory;
import io.github.kklip.config.Settings;
import java.nio.file.Path;

/** Settings as HOCON that {@code --conf} takes. */
final class SettingsText {
  private SettingsText() {}

  /** All settings of these arguments, or only those that differ from their defaults. */
  static String of(Arguments arguments) {
    Config defaults =
        ConfigFactory.parseResources(Settings.class.getClassLoader(), "reference.conf").resolve();
    Config all = ConfigFactory.empty();
    for (Path file : arguments.files()) {
      all = ConfigFactory.parseFile(file.toFile()).withFallback(all);
    }
    for (String assignment : arguments.assignments()) {
      int equals = assignment.indexOf('=');
      String value = assignment.substring(equals + 1).trim();
      String path = "kklip." + assignment.substring(0, equals).trim();
      all =
          (value.startsWith("[") || value.startsWith("{")
                  ? ConfigFactory.parseString(path + " = " + value)
                  : ConfigFactory.empty().withValue(path, ConfigValueFactory.fromAnyRef(value)))
              .withFallback(all);
    }
    Config resolved = all.withFallback(defaults).resolve();
    Config shown = resolved;
    if (arguments.changed()) {
      for (var entry : resolved.entrySet()) {
        if (defaults.hasPath(entry.getKey())
            && text(defaults.getValue(entry.getKey())).equals(text(entry.getValue()))) {
          shown = shown.withoutPath(entry.getKey());
        }
      }
    }
    return shown
        .root()
        .render(
            ConfigRenderOptions.defaults()
                .setOriginComments(false)
                .setComments(false)
                .setJson(false));
  }

  private static String text(ConfigValue value) {
    return value.unwrapped().toString();
  }
}
