package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.core.util.DefaultIndenter;
import com.fasterxml.jackson.core.util.DefaultPrettyPrinter;
import com.fasterxml.jackson.core.util.Separators;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.ObjectReader;
import com.fasterxml.jackson.databind.ObjectWriter;
import com.fasterxml.jackson.databind.SerializationFeature;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Records as JSON: fields in the order of the record, maps by key, line feeds on every platform, so
 * that equal values are equal bytes. Reading is strict: an unknown, missing, repeated or null field
 * is an error.
 */
public final class Json {
  private static final ObjectMapper MAPPER =
      new ObjectMapper()
          .configure(JsonParser.Feature.STRICT_DUPLICATE_DETECTION, true)
          .configure(SerializationFeature.ORDER_MAP_ENTRIES_BY_KEYS, true)
          .configure(DeserializationFeature.FAIL_ON_MISSING_CREATOR_PROPERTIES, true)
          .configure(DeserializationFeature.FAIL_ON_NULL_FOR_PRIMITIVES, true)
          .configure(DeserializationFeature.FAIL_ON_TRAILING_TOKENS, true);

  private static final ObjectWriter PRETTY =
      MAPPER.writer(
          new DefaultPrettyPrinter()
              .withObjectIndenter(new DefaultIndenter("  ", "\n"))
              .withSeparators(
                  Separators.createDefaultInstance()
                      .withObjectFieldValueSpacing(Separators.Spacing.AFTER)));

  /** Files of other programs may repeat a field, and have more in them than their first value. */
  private static final ObjectReader TREE = new ObjectMapper().reader();

  private static final ObjectReader LENIENT = TREE.with(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS);

  private Json() {}

  /** The value of a text of another program, whatever it has. */
  public static JsonNode tree(String text) throws JsonProcessingException {
    return TREE.readTree(text);
  }

  /** The same of a text that may hold NaN and Infinity, as Python writes them. */
  public static JsonNode lenientTree(String text) throws JsonProcessingException {
    return LENIENT.readTree(text);
  }

  /** The value of a file of another program, whatever it has. */
  public static JsonNode tree(byte[] file) throws IOException {
    return TREE.readTree(file);
  }

  /**
   * Why the bytes of a file that another program should have written are no JSON.
   *
   * @param problem what the parser found
   */
  public static String notJson(byte[] file, JsonProcessingException problem) {
    return ContentKind.of(file)
        .filter(kind -> kind != ContentKind.JSON && kind != ContentKind.TEXT)
        .map(ContentKind::sentence)
        .orElse(message("it is not JSON: %s", problem.getOriginalMessage()));
  }

  /** An object without fields yet. */
  public static ObjectNode object() {
    return TREE.getConfig().getNodeFactory().objectNode();
  }

  /** One line. */
  public static String line(Object value) {
    try {
      return MAPPER.writeValueAsString(value);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(message("Cannot write %s as JSON", value.getClass()), e);
    }
  }

  /** Several lines, for files that people read too. */
  public static byte[] pretty(Object value) {
    try {
      return (PRETTY.writeValueAsString(value) + "\n").getBytes(StandardCharsets.UTF_8);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(message("Cannot write %s as JSON", value.getClass()), e);
    }
  }

  /** The value of a text that {@link #line} or {@link #pretty} made. */
  public static <T> T parse(String text, Class<T> type) {
    try {
      return MAPPER.readValue(text, type);
    } catch (JsonProcessingException e) {
      throw new IllegalArgumentException(
          message("Cannot read %s because of %s.", type.getSimpleName(), e.getOriginalMessage()),
          e);
    }
  }

  /** Writes a file whole or not at all. */
  public static void write(Configuration configuration, Path path, Object value)
      throws IOException {
    Publication.write(configuration, path, pretty(value));
  }

  /** Reads a file; empty when there is none. */
  public static <T> Optional<T> readIfPresent(Configuration configuration, Path path, Class<T> type)
      throws IOException {
    byte[] bytes;
    try (InputStream in = Storage.of(configuration, path).open(path)) {
      bytes = in.readAllBytes();
    } catch (FileNotFoundException e) {
      return Optional.empty();
    }
    try {
      return Optional.of(MAPPER.readValue(bytes, type));
    } catch (IOException e) {
      String why = e instanceof JsonProcessingException j ? j.getOriginalMessage() : e.getMessage();
      throw new IOException(
          message(
              "Cannot read %s because of %s. It is damaged or was written by another version.",
              path, why),
          e);
    }
  }
}
