package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.ingest.sources.Member.Caption;
import java.io.IOException;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * LLaVA's form: an array of objects with an {@code image} and {@code conversations}, of which the
 * first turn of {@code gpt} is the caption; the other turns are passed over.
 */
final class LlavaForm implements JsonArrayReader.Form, JsonArrayReader.Rows {
  private static final int ROWS_LOOKED_AT = 100;

  @Override
  public String field() {
    return "";
  }

  @Override
  public Problem problem(TextFile file) throws IOException {
    Set<String> found = new LinkedHashSet<>();
    boolean conversations = false;
    boolean image = false;
    boolean any = false;
    try (JsonElements elements = JsonElements.of(file, field())) {
      for (int i = 0; i < ROWS_LOOKED_AT; i++) {
        JsonNode element;
        try {
          element = elements.next();
        } catch (IOException e) {
          // What comes before is read all the same.
          break;
        }
        if (element == null) {
          break;
        }
        any = true;
        found.addAll(JsonFields.names(element));
        conversations |= element.path("conversations").isArray();
        image |= element.has("image");
      }
    }
    return !any || (conversations && image)
        ? null
        : new Problem(
            Problem.SCHEMA,
            message(
                "the objects of the file have the fields %s, and image and conversations are needed, as LLaVA has them. Read captions JSON as a coco source, and JSON Lines as a jsonl source",
                found));
  }

  @Override
  public JsonArrayReader.Rows rows(TextFile file, Unit unit) {
    return this;
  }

  @Override
  public Member member(JsonNode row, String key, ImageFiles images) throws IOException {
    if (!row.isObject()) {
      return Member.problem(key, Problem.JSON_MALFORMED, "the element is not an object");
    }
    return Member.of(
        key,
        JsonFields.picture(row.get("image"), images),
        captions(row.path("conversations"), key));
  }

  private static List<Caption> captions(JsonNode conversations, String key) {
    for (JsonNode turn : conversations) {
      if (turn.path("from").asText().equals("gpt")) {
        return JsonFields.captions(turn.get("value"), key);
      }
    }
    return List.of(
        Caption.broken(key, new Problem(Problem.CAPTION_MISSING, "no turn is from gpt")));
  }

  @Override
  public List<Member> rest() {
    return List.of();
  }
}
