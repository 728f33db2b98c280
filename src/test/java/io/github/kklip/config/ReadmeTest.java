package io.github.kklip.config;

import static org.assertj.core.api.Assertions.assertThat;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigObject;
import com.typesafe.config.ConfigRenderOptions;
import com.typesafe.config.ConfigValue;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;

/**
 * The settings table of README.md is made from reference.conf. To write it anew: {@code mvn test
 * -Dtest=ReadmeTest -Dkklip.readme.write=true}.
 */
class ReadmeTest {
  private static final Path README = Path.of("README.md");
  private static final String BEGIN = "<!-- settings: made from reference.conf -->\n";
  private static final String END = "<!-- end of settings -->\n";

  @Test
  void tableIsThatOfTheSettings() throws IOException {
    String readme = Files.readString(README);
    int begin = readme.indexOf(BEGIN) + BEGIN.length();
    int end = readme.indexOf(END);
    assertThat(begin).isGreaterThanOrEqualTo(BEGIN.length());
    String table = table();
    if (Boolean.getBoolean("kklip.readme.write")) {
      Files.writeString(README, readme.substring(0, begin) + table + readme.substring(end));
    } else {
      assertThat(readme.substring(begin, end)).isEqualTo(table);
    }
  }

  @Test
  void everySettingIsDocumented() {
    assertThat(leaves(defaults().getObject("kklip"), ""))
        .allSatisfy(line -> assertThat(line).doesNotContain("| |"));
  }

  private static String table() {
    return "| key (in `kklip.`) | default | meaning |\n|---|---|---|\n"
        + leaves(defaults().getObject("kklip"), "").stream()
            .map(line -> line + "\n")
            .collect(Collectors.joining());
  }

  private static Config defaults() {
    return ConfigFactory.parseResources(ReadmeTest.class.getClassLoader(), "reference.conf");
  }

  private static List<String> leaves(ConfigObject object, String prefix) {
    return object.entrySet().stream()
        .sorted(Comparator.comparingInt(entry -> entry.getValue().origin().lineNumber()))
        .flatMap(
            entry ->
                entry.getValue() instanceof ConfigObject section
                    ? leaves(section, prefix + entry.getKey() + ".").stream()
                    : List.of(row(prefix, entry)).stream())
        .toList();
  }

  private static String row(String prefix, Map.Entry<String, ConfigValue> entry) {
    String meaning =
        entry.getValue().origin().comments().stream()
            .map(String::strip)
            .collect(Collectors.joining(" "))
            .replace("|", "\\|");
    return "| `"
        + prefix
        + entry.getKey()
        + "` | `"
        + entry.getValue().render(ConfigRenderOptions.concise())
        + "` | "
        + meaning
        + " |";
  }
}
