package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.ingest.sources.Member.Caption;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * COCO's captions: an object with {@code images}, which have an {@code id} and a {@code file_name},
 * and {@code annotations}, which have an {@code image_id} and a {@code caption}. An image is read
 * with all its captions.
 */
final class CocoForm implements JsonArrayReader.Form {
  private static final String IMAGES = "images";
  private static final String ANNOTATIONS = "annotations";

  @Override
  public String field() {
    return IMAGES;
  }

  /** Captions may stand anywhere in the file, so that one that is cut short gives nothing. */
  @Override
  public Problem problem(TextFile file) throws IOException {
    Set<String> found = new LinkedHashSet<>();
    boolean any = false;
    boolean caption = false;
    try (JsonElements annotations = JsonElements.of(file, ANNOTATIONS)) {
      if (!annotations.found()) {
        return lacking(ANNOTATIONS, annotations.others());
      }
      for (JsonNode one = annotations.next(); one != null; one = annotations.next()) {
        any = true;
        caption |= one.has("caption");
        if (!caption) {
          found.addAll(JsonFields.names(one));
        }
      }
    }
    if (any && !caption) {
      return new Problem(
          Problem.SCHEMA,
          message(
              "the annotations have the fields %s, and caption is needed: give COCO's captions_*.json",
              found));
    }
    try (JsonElements images = JsonElements.of(file, IMAGES)) {
      if (!images.found()) {
        return lacking(IMAGES, images.others());
      }
      boolean more = true;
      while (more) {
        more = images.next() != null;
      }
    }
    return null;
  }

  private static Problem lacking(String field, List<String> others) {
    return new Problem(
        Problem.SCHEMA,
        message(
            "the file has the fields %s, and the arrays images and annotations are needed, as COCO's captions_*.json has them: there is no %s",
            others, field));
  }

  @Override
  public JsonArrayReader.Rows rows(TextFile file, Unit unit) throws IOException {
    Map<String, List<Caption>> captions = new HashMap<>();
    for (JsonNode image : JsonArrayReader.elements(file, IMAGES, unit)) {
      captions.put(image.path("id").asText(), new ArrayList<>());
    }
    // The first unit tells of the annotations whose image is nowhere.
    Set<String> all = unit.part() == 0 ? ids(file) : Set.of();
    List<Member> rest = new ArrayList<>();
    try (JsonElements annotations = JsonElements.of(file, ANNOTATIONS)) {
      for (JsonNode one = annotations.next(); one != null; one = annotations.next()) {
        String image = one.path("image_id").asText();
        String key = "annotation " + one.path("id").asText();
        if (captions.containsKey(image)) {
          captions.get(image).addAll(JsonFields.captions(one.get("caption"), key));
        } else if (unit.part() == 0 && !all.contains(image)) {
          rest.add(
              Member.problem(
                  key,
                  Problem.NO_IMAGE,
                  message("no element of images has the id %s of the annotation", image)));
        }
      }
    }
    return new CocoRows(captions, rest);
  }

  private static Set<String> ids(TextFile file) throws IOException {
    Set<String> ids = new HashSet<>();
    try (JsonElements images = JsonElements.of(file, IMAGES)) {
      for (JsonNode one = images.next(); one != null; one = images.next()) {
        ids.add(one.path("id").asText());
      }
    }
    return ids;
  }

  private record CocoRows(Map<String, List<Caption>> captions, List<Member> rest)
      implements JsonArrayReader.Rows {
    @Override
    public Member member(JsonNode row, String key, ImageFiles images) throws IOException {
      if (!row.isObject()) {
        return Member.problem(
            key, Problem.JSON_MALFORMED, "the element of images is not an object");
      }
      return Member.of(
          key,
          JsonFields.picture(row.get("file_name"), images),
          captions.getOrDefault(row.path("id").asText(), List.of()));
    }
  }
}
