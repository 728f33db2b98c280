package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.util.JsonParserDelegate;
import com.fasterxml.jackson.databind.JsonNode;
import java.io.ByteArrayInputStream;
import java.io.Closeable;
import java.io.IOException;
import java.io.InputStream;
import java.io.SequenceInputStream;
import java.util.ArrayList;
import java.util.List;

/**
 * The elements of one array of a JSON file, of which no more than one is in memory. The array is a
 * field of the file's object, or the file itself; objects without an array around them are read as
 * its elements too.
 */
final class JsonElements implements Closeable {
  /** Of one element, or between two arrays. */
  private static final int MOST_TOKENS = 1 << 20;

  private final Bounded parser;
  private final long base;
  private final boolean found;
  private final List<String> others = new ArrayList<>();
  private boolean pending;
  private long start;

  private JsonElements(JsonParser parser, long base, boolean within, String field)
      throws IOException {
    this.parser = new Bounded(parser);
    this.base = base;
    this.found = within ? this.parser.nextToken() == JsonToken.START_ARRAY : goTo(field);
  }

  /**
   * The elements of the array {@code field}, or of the file itself where that is empty.
   *
   * @throws JsonProcessingException when the text before them is not JSON
   * @throws IOException when the file is damaged
   */
  static JsonElements of(TextFile file, String field) throws IOException {
    return closedIfNot(
        JsonFields.FACTORY.createParser(file.open(file.begin())), file.begin(), false, field);
  }

  /** The elements of the same array from the one on that starts at a byte. */
  static JsonElements from(TextFile file, String field, long start) throws IOException {
    if (field.isEmpty() && !beginsWithArray(file)) {
      return closedIfNot(JsonFields.FACTORY.createParser(file.open(start)), start, false, field);
    }
    byte[] opening = {'['};
    return closedIfNot(
        JsonFields.FACTORY.createParser(
            new SequenceInputStream(new ByteArrayInputStream(opening), file.open(start))),
        start - 1,
        true,
        "");
  }

  private static boolean beginsWithArray(TextFile file) throws IOException {
    try (InputStream in = file.open(file.begin())) {
      int first = in.read();
      while (first == ' ' || first == '\t' || first == '\r' || first == '\n') {
        first = in.read();
      }
      return first == '[';
    }
  }

  private static JsonElements closedIfNot(
      JsonParser parser, long base, boolean within, String field) throws IOException {
    try {
      return new JsonElements(parser, base, within, field);
    } catch (IOException | RuntimeException e) {
      parser.close();
      throw e;
    }
  }

  private boolean goTo(String field) throws IOException {
    JsonToken token = parser.nextToken();
    if (field.isEmpty()) {
      pending = token == JsonToken.START_OBJECT;
      return pending || token == JsonToken.START_ARRAY;
    }
    if (token != JsonToken.START_OBJECT) {
      return false;
    }
    while (parser.nextToken() == JsonToken.FIELD_NAME) {
      String name = parser.currentName();
      if (parser.nextToken() == JsonToken.START_ARRAY && name.equals(field)) {
        return true;
      }
      others.add(name);
      parser.skipChildren();
      parser.begin();
    }
    return false;
  }

  /** Whether there is such an array. */
  boolean found() {
    return found;
  }

  /** The fields of the file's object that came before it. */
  List<String> others() {
    return others;
  }

  /**
   * The next element; null after the last.
   *
   * @throws JsonProcessingException when it is not JSON, nor is anything that follows
   * @throws IOException when the file is damaged
   */
  JsonNode next() throws IOException {
    JsonToken token = pending ? parser.currentToken() : parser.nextToken();
    pending = false;
    if (token == null || token == JsonToken.END_ARRAY) {
      return null;
    }
    start = base + parser.currentTokenLocation().getByteOffset();
    parser.begin();
    return JsonFields.MAPPER.readTree(parser);
  }

  /** The byte with which the element begins that {@link #next} gave last. */
  long start() {
    return start;
  }

  /** What is wrong, without lines: a unit does not know its own. */
  static Problem problem(IOException e) {
    if (e instanceof JsonProcessingException json) {
      String detail = json.getOriginalMessage().replaceFirst("(?s) \\(start marker.*", "");
      return new Problem(Problem.JSON_MALFORMED, detail + ". Nothing of what follows is read");
    }
    return new Problem(Problem.CUT_SHORT, TextFile.detail(e));
  }

  @Override
  public void close() throws IOException {
    parser.close();
  }

  /** Refuses an element that would fill the memory. */
  private static final class Bounded extends JsonParserDelegate {
    private int tokens;

    Bounded(JsonParser parser) {
      super(parser);
    }

    /** An element begins. */
    void begin() {
      tokens = 0;
    }

    @Override
    public JsonToken nextToken() throws IOException {
      if (++tokens > MOST_TOKENS) {
        throw new JsonParseException(
            this, message("an element has more than %s values", MOST_TOKENS));
      }
      return super.nextToken();
    }
  }
}
