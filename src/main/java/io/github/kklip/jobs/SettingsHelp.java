package io.github.kklip.jobs;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigObject;
import com.typesafe.config.ConfigRenderOptions;
import com.typesafe.config.ConfigValue;
import io.github.kklip.config.Settings;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** Settings with their defaults and the first sentence of their documentation. */
final class SettingsHelp {
  /** Where the meaning begins; a longer setting has it on the next line. */
  private static final int COLUMN = 40;

  private static final Pattern SENTENCE_END = Pattern.compile("(?<=[^.]\\.)\\s+(?=[A-Z0-9`-])");

  private record HelpLine(String key, String value, String meaning) {}

  private SettingsHelp() {}

  /**
   * The settings of a job, grouped by section.
   *
   * @param wanted keys and sections; an empty text stands for all
   */
  static String of(List<String> wanted, int width) {
    if (wanted.isEmpty()) {
      return "";
    }
    StringBuilder text =
        new StringBuilder("\nSettings, with their defaults (inside kklip { } of a file):\n");
    String section = "";
    for (HelpLine line : lines()) {
      if (wanted.stream().noneMatch(key -> isIn(line.key, key))) {
        continue;
      }
      String of = line.key.contains(".") ? line.key.substring(0, line.key.indexOf('.')) : "";
      if (!of.equals(section)) {
        section = of;
        text.append('\n');
      }
      append(text, line, width);
    }
    return text.toString();
  }

  /** The beginnings of all assignments, for completion. */
  static List<String> assignments() {
    return lines().stream().map(line -> line.key + "=").toList();
  }

  private static boolean isIn(String key, String wanted) {
    return wanted.isEmpty() || key.equals(wanted) || key.startsWith(wanted + ".");
  }

  private static void append(StringBuilder text, HelpLine line, int width) {
    String setting = "  " + line.key + " = " + line.value;
    text.append(setting);
    int column = setting.length();
    if (column >= COLUMN) {
      text.append('\n');
      column = 0;
    }
    text.append(" ".repeat(COLUMN - column));
    column = COLUMN;
    boolean first = true;
    for (String word : line.meaning.split(" ", -1)) {
      if (!first && column + 1 + word.length() > width) {
        text.append('\n').append(" ".repeat(COLUMN));
        column = COLUMN;
        first = true;
      }
      if (!first) {
        text.append(' ');
        column++;
      }
      text.append(word);
      column += word.length();
      first = false;
    }
    text.append('\n');
  }

  private static List<HelpLine> lines() {
    Config reference =
        ConfigFactory.parseResources(Settings.class.getClassLoader(), "reference.conf");
    List<HelpLine> lines = new ArrayList<>();
    collect(reference.getObject("kklip"), "", lines);
    return lines;
  }

  private static void collect(ConfigObject section, String prefix, List<HelpLine> lines) {
    section.entrySet().stream()
        .sorted(Comparator.comparingInt(entry -> entry.getValue().origin().lineNumber()))
        .forEach(
            entry -> {
              ConfigValue value = entry.getValue();
              if (value instanceof ConfigObject inner) {
                collect(inner, prefix + entry.getKey() + ".", lines);
              } else {
                String meaning =
                    value.origin().comments().stream()
                        .map(String::strip)
                        .collect(Collectors.joining(" "));
                lines.add(
                    new HelpLine(
                        prefix + entry.getKey(),
                        value.render(ConfigRenderOptions.concise()),
                        SENTENCE_END.split(meaning, 2)[0]));
              }
            });
  }
}
