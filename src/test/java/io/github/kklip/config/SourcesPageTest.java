package io.github.kklip.config;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.config.IngestSettings.SourceFormat;
import io.github.kklip.config.IngestSettings.SourceSettings;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.store.Split;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.TreeSet;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/** docs/sources.md has each format with its keys, and each reason of a reject. */
class SourcesPageTest {
  private static final Pattern CODE = Pattern.compile("`([^`]+)`");

  private static List<String> codes(String text) {
    return CODE.matcher(text).results().map((MatchResult found) -> found.group(1)).toList();
  }

  private static List<String> table(String header) throws IOException {
    List<String> lines = Files.readAllLines(Path.of("docs", "sources.md"));
    int first = lines.indexOf(header);
    assertThat(first).as(header).isNotNegative();
    return lines.subList(first + 2, lines.size()).stream()
        .takeWhile(line -> line.startsWith("|"))
        .toList();
  }

  private static String cell(String row, int column) {
    return row.split(" \\| ", -1)[column];
  }

  private static Set<String> constants(Class<?> type) throws IllegalAccessException {
    Set<String> found = new TreeSet<>();
    for (Field field : type.getDeclaredFields()) {
      if (Modifier.isStatic(field.getModifiers()) && field.getType() == String.class) {
        field.setAccessible(true);
        found.add((String) field.get(null));
      }
    }
    return found;
  }

  @Test
  void eachReasonIsListedOnce() throws Exception {
    Set<String> reasons = constants(Problem.class);
    reasons.addAll(constants(ImageRejectedException.class));
    reasons.add(Problem.inSplit(Split.TEST).reason());
    reasons.add(Problem.inSplit(Split.VALIDATION).reason());

    List<String> listed = new ArrayList<>();
    for (String row : table("| reason | it means | what to do |")) {
      listed.addAll(codes(cell(row, 0)));
    }
    assertThat(listed).containsExactlyInAnyOrderElementsOf(reasons);
  }

  @Test
  void eachFormatIsListedWithItsKeys() throws IOException {
    List<String> rows = table("| format | example | keys | what becomes a reject |");
    assertThat(rows).hasSize(SourceFormat.values().length + 1);
    for (SourceFormat format : SourceFormat.values()) {
      String name = format.name().toLowerCase(Locale.ROOT);
      String row =
          rows.stream().filter(line -> line.startsWith("| `" + name + "` |")).findFirst().get();
      assertThat(cell(row, 1)).contains("format = " + name);
      Set<String> keys = new TreeSet<>();
      for (RecordComponent component : SourceSettings.class.getRecordComponents()) {
        Key key = component.getAnnotation(Key.class);
        boolean its =
            key != null && (key.formats().length == 0 || List.of(key.formats()).contains(name));
        if (its && !List.of("path", "split").contains(component.getName())) {
          keys.add(component.getName().replaceAll("([A-Z])", "-$1").toLowerCase(Locale.ROOT));
        }
      }
      assertThat(codes(cell(row, 2))).as(name).containsAll(keys);
    }
  }
}
