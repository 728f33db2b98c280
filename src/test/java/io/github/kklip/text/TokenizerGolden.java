package io.github.kklip.text;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.function.Function;
import java.util.stream.Collectors;

/** The files of {@code text_golden.py}: texts, and for each the number, start and digest of ids. */
public final class TokenizerGolden {
  private TokenizerGolden() {}

  public static JsonNode read(String name) {
    try (InputStream in = TokenizerGolden.class.getResourceAsStream("/golden/" + name)) {
      return new ObjectMapper().readTree(in);
    } catch (IOException e) {
      throw new AssertionError(e);
    }
  }

  public static void assertEqualIds(
      JsonNode texts, JsonNode rows, Function<String, int[]> tokenizer) {
    assertThat(texts).hasSameSizeAs(rows).isNotEmpty();
    for (int i = 0; i < texts.size(); i++) {
      String unit = texts.get(i).get(0).asText();
      int[] ids = tokenizer.apply(unit.repeat(texts.get(i).get(1).asInt()));
      JsonNode row = rows.get(i);
      int[] first = new int[row.get("first").size()];
      Arrays.setAll(first, k -> row.get("first").get(k).asInt());
      assertThat(Arrays.copyOf(ids, Math.min(ids.length, first.length)))
          .as("first ids of \"%s\"", unit)
          .isEqualTo(first);
      assertThat(ids).as("number of ids of \"%s\"", unit).hasSize(row.get("count").asInt());
      assertThat(digest(ids)).as("ids of \"%s\"", unit).isEqualTo(row.get("digest").asText());
    }
  }

  private static String digest(int[] ids) {
    String text = Arrays.stream(ids).mapToObj(id -> id + " ").collect(Collectors.joining());
    try {
      return HexFormat.of()
          .formatHex(
              MessageDigest.getInstance("SHA-256").digest(text.getBytes(StandardCharsets.UTF_8)));
    } catch (NoSuchAlgorithmException e) {
      throw new AssertionError(e);
    }
  }
}
