package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.Member.Picture;
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
 * with all its captions. Files of one id cannot be told apart: they are rejects.
 */
final class CocoForm implements JsonArrayReader.Form {
  private static final String IMAGES = "images";
  private static final String ANNOTATIONS = "annotations";
  private static final String FILE_NAME = "file_name";
  private static final String NO_ID = "";

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
      captions.put(id(image, "id"), new ArrayList<>());
    }
    captions.remove(NO_ID);
    // The first unit tells of the annotations whose image is nowhere.
    Set<String> all = new HashSet<>();
    Set<String> ambiguous = new HashSet<>();
    ids(file, captions.keySet(), unit.part() == 0 ? all : null, ambiguous);
    List<Member> rest = new ArrayList<>();
    try (JsonElements annotations = JsonElements.of(file, ANNOTATIONS)) {
      for (JsonNode one = annotations.next(); one != null; one = annotations.next()) {
        String image = id(one, "image_id");
        String key = "annotation " + id(one, "id");
        if (captions.containsKey(image)) {
          captions.get(image).addAll(JsonFields.captions(one.get("caption"), key));
        } else if (unit.part() == 0 && !all.contains(image)) {
          rest.add(
              Member.problem(
                  key,
                  Problem.NO_IMAGE,
                  image.equals(NO_ID)
                      ? "the annotation has no image_id"
                      : message("no element of images has the id %s of the annotation", image)));
        }
      }
    }
    return new CocoRows(captions, ambiguous, rest);
  }

  /** Of a number its digits: pandas writes 7 as 7.0 where other numbers of a column are missing. */
  private static String id(JsonNode row, String field) {
    JsonNode id = row.path(field);
    return id.isNumber() && id.canConvertToExactIntegral()
        ? id.bigIntegerValue().toString()
        : id.isNull() ? NO_ID : id.asText();
  }

  /**
   * Looks at all images.
   *
   * @param wanted ids of which is told whether they stand for several files
   * @param all gets the ids of all images; null where they are not needed
   * @param ambiguous gets those of {@code wanted} that stand for several files
   */
  private static void ids(TextFile file, Set<String> wanted, Set<String> all, Set<String> ambiguous)
      throws IOException {
    Map<String, JsonNode> names = new HashMap<>();
    try (JsonElements images = JsonElements.of(file, IMAGES)) {
      for (JsonNode one = images.next(); one != null; one = images.next()) {
        String id = id(one, "id");
        if (all != null && !id.equals(NO_ID)) {
          all.add(id);
        }
        if (wanted.contains(id)) {
          JsonNode name = one.path(FILE_NAME);
          JsonNode other = names.putIfAbsent(id, name);
          if (other != null && !other.equals(name)) {
            ambiguous.add(id);
          }
        }
      }
    }
  }

  private record CocoRows(
      Map<String, List<Caption>> captions, Set<String> ambiguous, List<Member> rest)
      implements JsonArrayReader.Rows {
    @Override
    public Member member(JsonNode row, String key, ImageFiles images) throws IOException {
      if (!row.isObject()) {
        return Member.problem(
            key, Problem.JSON_MALFORMED, "the element of images is not an object");
      }
      String id = id(row, "id");
      Picture picture =
          ambiguous.contains(id)
              ? Picture.broken(
                  row.path(FILE_NAME).asText(),
                  new Problem(
                      Problem.AMBIGUOUS_SAMPLE,
                      message(
                          "several files have the id %s, so that its captions may belong to any of them: give each image an id of its own",
                          id)))
              : JsonFields.picture(row.get(FILE_NAME), images);
      return Member.of(key, picture, captions.getOrDefault(id, List.of()));
    }
  }
}
