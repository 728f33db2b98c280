package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.config.IngestSettings.CaptionLines;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.Member.Picture;
import io.github.kklip.ingest.sources.SampleRules.CaptionPlace;
import io.github.kklip.ingest.sources.SampleRules.Part;
import io.github.kklip.store.publication.Json;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** One sample: a picture and its captions, chosen among the members of one key. */
final class Sample {
  private static final int SHOWN = 8;

  /**
   * A member that may be a part of a sample.
   *
   * @param name of the member, as a person reads it
   * @param extension what follows the sample's key
   */
  record SamplePart(String name, String extension, Part part, Content content) {}

  /** The data of a member. */
  interface Content {
    Loaded load() throws IOException;
  }

  /** Data, or why there are none. */
  record Loaded(byte[] bytes, Problem problem) {}

  /** Whether texts of the source are captions line by line, by what lies beside it. */
  interface Lines {
    boolean areCaptions() throws IOException;
  }

  private final String key;
  private final Collection<SamplePart> parts;
  private final SampleRules rules;
  private final Lines lines;
  private final Map<String, SamplePart> byExtension = new LinkedHashMap<>();
  private final Map<Note, Integer> notes = new EnumMap<>(Note.class);

  private Sample(String key, Collection<SamplePart> parts, SampleRules rules, Lines lines) {
    this.key = key;
    this.parts = parts;
    this.rules = rules;
    this.lines = lines;
  }

  /**
   * The sample of {@code parts}, or the reject that they are.
   *
   * @param key as a person reads it
   */
  static Member of(String key, Collection<SamplePart> parts, SampleRules rules, Lines lines)
      throws IOException {
    return new Sample(key, parts, rules, lines).member();
  }

  /** A reject that names the members of a sample. */
  static Member ambiguous(String key, Collection<SamplePart> parts, String why) {
    return Member.problem(key, Problem.AMBIGUOUS_SAMPLE, message("%s: %s", why, names(parts)));
  }

  static String names(Collection<SamplePart> parts) {
    String names = String.join(", ", parts.stream().limit(SHOWN).map(SamplePart::name).toList());
    return parts.size() <= SHOWN ? names : message("%s and %s more", names, parts.size() - SHOWN);
  }

  static boolean has(Collection<SamplePart> parts, Part part) {
    return parts.stream().anyMatch(member -> member.part() == part);
  }

  private Member member() throws IOException {
    for (SamplePart part : parts) {
      if (byExtension.put(part.extension(), part) != null) {
        return ambiguous(
            key,
            parts,
            message("two members of the sample have the extension .%s", part.extension()));
      }
    }
    SamplePart picture = picture();
    if (picture == null) {
      return withoutPicture();
    }
    for (SamplePart part : parts) {
      String other = part.part() == Part.TEXT ? rules.pictureOf(part.extension()) : "";
      if (!other.isEmpty() && !other.equals(picture.extension())) {
        if (byExtension.containsKey(other)) {
          return ambiguous(key, parts, "several pictures have texts of their own");
        }
        note(Note.LONE_TEXTS);
      }
      if (!part.equals(picture) && part.part() != Part.TEXT) {
        note(Note.OTHER_PICTURES);
      }
    }
    List<Caption> captions = captions(picture);
    return new Member(key, picture(picture, captions), captions, notes, List.of());
  }

  private SamplePart picture() {
    for (String extension : rules.pictures()) {
      SamplePart part = byExtension.get(extension);
      if (part != null) {
        return part;
      }
    }
    return null;
  }

  private Member withoutPicture() {
    boolean texts = has(parts, Part.TEXT);
    boolean pictures = has(parts, Part.OTHER_PICTURE);
    if (texts && pictures) {
      return Member.problem(
          key,
          Problem.NO_IMAGE,
          message(
              "the sample has no picture with an extension of image-column, %s, but %s",
              String.join(";", rules.pictures()), names(parts)));
    }
    parts.forEach(part -> note(part.part() == Part.TEXT ? Note.LONE_TEXTS : Note.OTHER_PICTURES));
    return Member.noted(notes);
  }

  private void note(Note note) {
    notes.merge(note, 1, Integer::sum);
  }

  /** A picture without a caption is a reject already: no need to read it. */
  private static Picture picture(SamplePart part, List<Caption> captions) throws IOException {
    if (captions.isEmpty()) {
      return Picture.of(part.name(), new byte[0]);
    }
    Loaded loaded = part.content().load();
    return loaded.problem() == null
        ? Picture.of(part.name(), loaded.bytes())
        : Picture.broken(part.name(), loaded.problem());
  }

  /** The first captions that can be taken; where there are none, the first that are there. */
  private List<Caption> captions(SamplePart picture) throws IOException {
    CaptionText usable = new CaptionText(rules.limits().captions());
    Map<SamplePart, JsonFile> objects = new LinkedHashMap<>();
    List<Caption> first = List.of();
    for (CaptionPlace place : rules.captions()) {
      for (String extension :
          List.of(place.extension(), picture.extension() + "." + place.extension())) {
        SamplePart part = byExtension.get(extension);
        List<Caption> captions = part == null ? List.of() : captions(part, place, objects);
        if (captions.stream().anyMatch(caption -> usable.problem(caption) == null)) {
          return place.field().isEmpty() ? listWith(captions, usable, objects) : captions;
        }
        first = first.isEmpty() ? captions : first;
      }
    }
    return first;
  }

  /** The list of a JSON member that holds the text too: the text is then one of its captions. */
  private List<Caption> listWith(
      List<Caption> text, CaptionText usable, Map<SamplePart, JsonFile> objects)
      throws IOException {
    if (text.size() > 1) {
      return text;
    }
    String wanted = usable.stored(text.get(0));
    for (CaptionPlace place : rules.captions()) {
      SamplePart part = place.field().isEmpty() ? null : byExtension.get(place.extension());
      List<Caption> list = part == null ? List.of() : captions(part, place, objects);
      if (list.size() > 1
          && list.stream()
              .anyMatch(
                  caption -> caption.problem() == null && usable.stored(caption).equals(wanted))) {
        return list;
      }
    }
    return text;
  }

  private List<Caption> captions(
      SamplePart part, CaptionPlace place, Map<SamplePart, JsonFile> objects) throws IOException {
    if (place.field().isEmpty()) {
      return texts(part);
    }
    JsonFile file = objects.get(part);
    if (file == null) {
      file = JsonFile.of(part);
      objects.put(part, file);
    }
    return file.captions(place.field());
  }

  private List<Caption> texts(SamplePart part) throws IOException {
    Loaded loaded = part.content().load();
    if (loaded.problem() != null) {
      return List.of(Caption.broken(part.name(), loaded.problem()));
    }
    Caption whole = MemberContent.caption("", loaded.bytes());
    if (whole.problem() != null || whole.text().strip().lines().count() < 2) {
      return List.of(whole);
    }
    boolean each =
        switch (rules.lines()) {
          case LINES -> true;
          case WHOLE -> false;
          case AUTO -> lines.areCaptions();
        };
    if (!each) {
      if (rules.lines() == CaptionLines.AUTO) {
        note(Note.JOINED_LINES);
      }
      return List.of(whole);
    }
    List<Caption> captions = new ArrayList<>();
    for (String line : whole.text().lines().toList()) {
      if (!line.isBlank()) {
        captions.add(Caption.of("line " + captions.size(), line));
      }
    }
    return captions;
  }

  /** A JSON member, parsed once. */
  private record JsonFile(JsonNode object, Optional<Caption> broken) {
    static JsonFile of(SamplePart part) throws IOException {
      Loaded loaded = part.content().load();
      if (loaded.problem() != null) {
        return broken(part, loaded.problem());
      }
      String text = MemberContent.utf8(loaded.bytes());
      if (text == null) {
        return broken(part, MemberContent.encodingProblem());
      }
      try {
        return new JsonFile(Json.lenientTree(text), Optional.empty());
      } catch (JsonProcessingException e) {
        return broken(part, new Problem(Problem.JSON_MALFORMED, e.getOriginalMessage()));
      }
    }

    private static JsonFile broken(SamplePart part, Problem problem) {
      return new JsonFile(null, Optional.of(Caption.broken(part.name(), problem)));
    }

    List<Caption> captions(String field) {
      if (broken.isPresent()) {
        return List.of(broken.get());
      }
      JsonNode value = object.get(field);
      List<Caption> captions = new ArrayList<>();
      if (value != null && value.isTextual()) {
        captions.add(Caption.of("", value.textValue()));
      } else if (value != null && value.isArray()) {
        for (JsonNode element : value) {
          String name = "caption " + captions.size();
          captions.add(
              element.isTextual()
                  ? Caption.of(name, element.textValue())
                  : Caption.broken(
                      name, new Problem(Problem.JSON_MALFORMED, "the caption is not a text")));
        }
      }
      return captions;
    }
  }
}
