package io.github.kklip.store.publication;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class FileNameTest {
  private record Holder(FileName file) {}

  @ParameterizedTest
  @ValueSource(
      strings = {"a", "model-00001-of-00002.safetensors", "_SUCCESS", ".part", "...", "ä b+c=%2F"})
  void plainNamesAreTaken(String text) {
    assertThat(new FileName(text).text()).isEqualTo(text).hasToString(text);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "`` | it is empty",
        ". | it names a folder",
        ".. | it names a folder",
        "../a | it holds '/'",
        "/etc/passwd | it holds '/'",
        "a\\b | it holds '\\'",
        "C:a | it holds ':'",
        "s3a://bucket/a | it holds ':'",
        "` a` | it begins or ends with space",
        "a\0b | it holds the character U+0000",
        "a\u001b[2J | it holds the character U+001B",
        "a\u202egnp.exe | it holds the character U+202E",
        "a\u2028b | it holds the character U+2028",
        "a\ud800b | it holds the character U+D800",
      })
  void namesThatCouldLeadElsewhereAreRefused(String text, String reason) {
    assertThatThrownBy(() -> new FileName(text))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageStartingWith("Cannot use the file name '")
        .hasMessageContaining("because " + reason)
        .hasMessageEndingWith("Give the plain name of a file in the same folder.");
  }

  @Test
  void theLengthIsThatOfFileSystems() {
    assertThat(new FileName("x".repeat(255)).text()).hasSize(255);
    assertThatThrownBy(() -> new FileName("x".repeat(256)))
        .hasMessageContaining("x... (256 characters)' because it is longer than 255 bytes");
    assertThatThrownBy(() -> new FileName("ä".repeat(128)))
        .hasMessageContaining("because it is longer than 255 bytes");
    assertThatThrownBy(() -> new FileName("x".repeat(1 << 20))).message().hasSizeLessThan(300);
  }

  @Test
  void aRecordsComponentIsCheckedWhenItIsRead() {
    Holder holder = Json.parse("{\"file\":\"a.json\"}", Holder.class);
    assertThat(holder.file().text()).isEqualTo("a.json");
    assertThat(Json.line(holder)).isEqualTo("{\"file\":\"a.json\"}");
    for (String name : new String[] {"\"../a\"", "\"\"", "\"a\\u0000\""}) {
      assertThatThrownBy(() -> Json.parse("{\"file\":" + name + "}", Holder.class))
          .isInstanceOf(IllegalArgumentException.class)
          .hasMessageContaining("Cannot use the file name ");
    }
  }
}
