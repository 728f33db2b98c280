package io.github.kklip.ingest.sources;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.Member.Picture;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** What rows of JSON say of images and captions. */
final class JsonFields {
  /** NaN and Infinity are read, which Python writes. */
  static final JsonFactory FACTORY =
      new JsonFactoryBuilder().enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS).build();

  static final ObjectMapper MAPPER = new ObjectMapper(FACTORY);

  private JsonFields() {}

  /** The names of an object's fields. */
  static List<String> names(JsonNode object) {
    List<String> names = new ArrayList<>();
    object.fieldNames().forEachRemaining(names::add);
    return names;
  }

  /**
   * The first of the fields that the object has with a value, or else the first that is null.
   *
   * @param fields each a name, or names of nested fields with dots between them
   * @return null where it has none
   */
  static JsonNode find(JsonNode object, List<String> fields) {
    JsonNode found = null;
    for (String field : fields) {
      JsonNode value = find(object, field);
      if (value != null && !value.isNull()) {
        return value;
      }
      found = found == null ? value : found;
    }
    return found;
  }

  private static JsonNode find(JsonNode object, String field) {
    if (object.has(field)) {
      return object.get(field);
    }
    for (int dot = field.indexOf('.'); dot >= 0; dot = field.indexOf('.', dot + 1)) {
      JsonNode outer = object.get(field.substring(0, dot));
      JsonNode value = outer == null ? null : find(outer, field.substring(dot + 1));
      if (value != null) {
        return value;
      }
    }
    return null;
  }

  /** The picture that a text names, or a list of one text. */
  static Picture picture(JsonNode value, ImageFiles images) throws IOException {
    JsonNode name = value != null && value.isArray() && value.size() == 1 ? value.get(0) : value;
    if (name == null || name.isNull()) {
      return Picture.broken("", new Problem(Problem.NO_IMAGE, "the row names no image"));
    }
    if (name.isArray()) {
      return Picture.broken(
          "", new Problem(Problem.NO_IMAGE, "the row names " + name.size() + " images, not one"));
    }
    return name.isTextual()
        ? images.picture(name.textValue())
        : Picture.broken("", new Problem(Problem.NO_IMAGE, "the name of the image is not a text"));
  }

  /**
   * The captions of a text or of a list of texts; one broken one where there is none.
   *
   * @param key the place of the row
   */
  static List<Caption> captions(JsonNode value, String key) {
    if (value != null && value.isArray() && value.size() > 0) {
      List<Caption> captions = new ArrayList<>();
      for (JsonNode element : value) {
        captions.add(caption(element, key + " caption " + captions.size()));
      }
      return captions;
    }
    return List.of(caption(value != null && value.isArray() ? null : value, key));
  }

  private static Caption caption(JsonNode value, String key) {
    boolean notANumber =
        value != null && value.isFloatingPointNumber() && Double.isNaN(value.doubleValue());
    if (value == null || value.isNull() || notANumber) {
      return Caption.broken(key, new Problem(Problem.CAPTION_MISSING, "there is no caption"));
    }
    if (!value.isTextual()) {
      return Caption.broken(key, new Problem(Problem.JSON_MALFORMED, "the caption is not a text"));
    }
    return value.textValue().isBlank()
        ? Caption.broken(key, new Problem(Problem.CAPTION_MISSING, "the caption is empty"))
        : Caption.of(key, value.textValue());
  }
}
