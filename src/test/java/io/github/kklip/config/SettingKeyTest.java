package io.github.kklip.config;

import static org.assertj.core.api.Assertions.assertThat;

import com.typesafe.config.ConfigFactory;
import java.io.IOException;
import java.lang.reflect.RecordComponent;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Every key of reference.conf, by the records alone. */
class SettingKeyTest {
  private static Map<String, Object> values(Settings settings) {
    Map<String, Object> values = new TreeMap<>();
    SettingKey.ALL.forEach(key -> values.put(key.path(), key.value(settings)));
    return values;
  }

  @Test
  void theKeysAreThoseOfTheReference() {
    TreeSet<String> reference = new TreeSet<>();
    ConfigFactory.parseResources("reference.conf")
        .getConfig("kklip")
        .entrySet()
        .forEach(entry -> reference.add(entry.getKey()));
    assertThat(new TreeSet<>(values(Settings.load(List.of(), List.of())).keySet()))
        .isEqualTo(reference);
  }

  @Test
  void everyValueLandsInItsComponentAlone() {
    Map<String, Object> defaults = values(Settings.load(List.of(), List.of()));
    for (ChangedSetting change : ChangedSetting.ALL) {
      Map<String, Object> found = values(Settings.load(List.of(), List.of(change.assignment())));
      assertThat(found.get(change.path()))
          .as(change.path())
          .isNotEqualTo(defaults.get(change.path()));
      if (change.value() != null) {
        assertThat(found).as(change.path()).containsEntry(change.path(), change.value());
        found.put(change.path(), defaults.get(change.path()));
        assertThat(found).as(change.path()).isEqualTo(defaults);
      }
    }
  }

  @Test
  void everyKeyHasARoleAndNoRecordIsLong() {
    for (SettingKey key : SettingKey.ALL) {
      assertThat(key.roles()).as(key.path()).isNotEmpty();
      // By another way than the reader's: nothing else ties a key to its component.
      String last = key.path().substring(key.path().lastIndexOf('.') + 1);
      String camel =
          Pattern.compile("-(.)")
              .matcher(last)
              .replaceAll(letter -> letter.group(1).toUpperCase(Locale.ROOT));
      assertThat(key.way().get(key.way().size() - 1).getName()).isEqualTo(camel);
      for (RecordComponent component : key.way()) {
        assertThat(component.getDeclaringRecord().getRecordComponents())
            .as("%s", component.getDeclaringRecord())
            .hasSizeLessThanOrEqualTo(component.getDeclaringRecord() == Settings.class ? 12 : 9);
      }
    }
  }

  @Test
  void theRenderedTextLoadsBack(@TempDir Path folder) throws IOException {
    List<String> all = new ArrayList<>();
    ChangedSetting.ALL.forEach(change -> all.add(change.assignment()));
    // Mini-batches are GEMM's alone.
    all.add("concepts.engine=gemm");
    Settings changed = Settings.load(List.of(), all);
    for (boolean onlyChanged : new boolean[] {false, true}) {
      for (Settings settings : List.of(changed, Settings.load(List.of(), List.of()))) {
        Path file = folder.resolve("settings.conf");
        Files.writeString(file, settings.toHocon(onlyChanged));
        assertThat(Settings.load(List.of(file), List.of())).isEqualTo(settings);
      }
    }
  }

  @Test
  void onlyWhatDiffersIsRendered(@TempDir Path folder) throws IOException {
    Settings settings =
        Settings.load(
            List.of(), List.of("train.epochs=3", "train.loss.emb=2", "dataset=s3a://a/b:c"));
    assertThat(settings.toHocon(true))
        .isEqualTo(
            """
            kklip {
              dataset = "s3a://a/b:c"
              train {
                epochs = 3
                loss {
                  emb = 2.0
                }
              }
            }
            """);
    Path rendered = Files.writeString(folder.resolve("all.conf"), settings.toHocon(false));
    assertThat(
            Settings.load(
                List.of(rendered), List.of("train.epochs=1", "train.loss.emb=1", "dataset=")))
        .isEqualTo(Settings.load(List.of(), List.of()));
  }
}
