package io.github.kklip.ingest.sources;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.IngestSettings.CaptionLines;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/**
 * Which members of a sample are its picture and its captions, by the source's keys.
 *
 * @param pictures extensions in the order of preference, in lower case; {@code seg.png} is one
 * @param picturesNamed whether the source names them: other pictures are then no pictures of
 *     samples
 * @param captions where a caption may be, in the order of preference
 * @param lines how texts of several lines are read
 * @param limits on the sizes of members and captions
 */
record SampleRules(
    List<String> pictures,
    boolean picturesNamed,
    List<CaptionPlace> captions,
    CaptionLines lines,
    IngestSettings limits) {
  private static final String JSON = "json";
  private static final List<String> TEXTS = List.of("txt", "caption");
  private static final List<String> FIELDS = List.of("caption", "captions", "text");

  /**
   * Where a caption may be.
   *
   * @param extension of the member
   * @param field of the JSON object in it; empty: the member is a text
   */
  record CaptionPlace(String extension, String field) {}

  /**
   * The two parts of a member's name.
   *
   * @param extension in lower case; empty when there is none
   */
  record SampleName(String key, String extension) {}

  /** What a member can be of a sample. */
  enum Part {
    PICTURE,
    TEXT,
    /** A picture that is not looked for. */
    OTHER_PICTURE,
    OTHER
  }

  static SampleRules of(IngestSettings.SourceSettings source, IngestSettings limits) {
    List<String> pictures = items(source.imageColumn());
    List<CaptionPlace> captions = new ArrayList<>();
    for (String item : items(source.captionColumn())) {
      captions.add(place(item));
    }
    if (captions.isEmpty()) {
      TEXTS.forEach(extension -> captions.add(new CaptionPlace(extension, "")));
      FIELDS.forEach(field -> captions.add(new CaptionPlace(JSON, field)));
    }
    return new SampleRules(
        pictures.isEmpty()
            ? MemberContent.IMAGES
            : pictures.stream().map(SampleRules::lower).distinct().toList(),
        !pictures.isEmpty(),
        List.copyOf(captions),
        source.captions(),
        limits);
  }

  private static List<String> items(String list) {
    List<String> items = new ArrayList<>();
    for (String item : list.split(";", -1)) {
      String name = item.strip();
      if (!name.isEmpty()) {
        items.add(name.startsWith(".") ? name.substring(1) : name);
      }
    }
    return items;
  }

  /**
   * {@code txt}, {@code caption} and {@code en.txt} are extensions; other names are JSON fields.
   */
  private static CaptionPlace place(String item) {
    String extension = lower(item);
    if (TEXTS.contains(MemberContent.extension(item))) {
      return new CaptionPlace(extension, "");
    }
    boolean prefixed = extension.startsWith(JSON + ":");
    return new CaptionPlace(JSON, prefixed ? item.substring(JSON.length() + 1) : item);
  }

  private static String lower(String text) {
    return text.toLowerCase(Locale.ROOT);
  }

  /** {@code a/b/0001.seg.png} is {@code seg.png} of {@code a/b/0001}. */
  static SampleName upToTheFirstDot(String name) {
    return cut(name, name.indexOf('.', name.lastIndexOf('/') + 1));
  }

  /**
   * {@code IMG.0001.jpg} is {@code jpg} of {@code IMG.0001}, and {@code IMG.0001.jpg.txt} is {@code
   * jpg.txt} of it; an extension of several parts that the source names is one.
   */
  SampleName upToTheLastDot(String name) {
    int base = name.lastIndexOf('/') + 1;
    int last = name.lastIndexOf('.');
    if (last < base) {
      return cut(name, -1);
    }
    int cut = last;
    for (int dot = name.indexOf('.', base);
        dot >= 0 && dot < last;
        dot = name.indexOf('.', dot + 1)) {
      String extension = lower(name.substring(dot + 1));
      if (pictures.contains(extension) || isText(extension)) {
        cut = dot;
        break;
      }
    }
    return cut(name, cut);
  }

  private static SampleName cut(String name, int dot) {
    return dot < 0
        ? new SampleName(name, "")
        : new SampleName(name.substring(0, dot), lower(name.substring(dot + 1)));
  }

  /** What a member with this extension is. */
  Part part(String extension) {
    if (isText(extension)) {
      return Part.TEXT;
    }
    if (pictures.contains(extension)) {
      return Part.PICTURE;
    }
    return MemberContent.IMAGES.contains(extension) ? Part.OTHER_PICTURE : Part.OTHER;
  }

  /** The same of an extension of several parts, by its last one. */
  Part partOfLast(String extension) {
    return part(MemberContent.extension(extension));
  }

  /** {@code txt}, and {@code jpg.txt}, the text of a picture by its whole name. */
  private boolean isText(String extension) {
    for (CaptionPlace place : captions) {
      if (extension.endsWith(place.extension)) {
        int rest = extension.length() - place.extension.length();
        if (rest == 0
            || (extension.charAt(rest - 1) == '.' && isPicture(extension.substring(0, rest - 1)))) {
          return true;
        }
      }
    }
    return false;
  }

  private boolean isPicture(String extension) {
    return pictures.contains(extension) || MemberContent.IMAGES.contains(extension);
  }

  /** The picture's extension that a text's begins with; empty when it begins with none. */
  String pictureOf(String text) {
    int dot = text.lastIndexOf('.');
    String before = dot < 0 ? "" : text.substring(0, dot);
    return isPicture(before) ? before : "";
  }

  /** The most bytes of a member. */
  long limit(Part part) {
    return part == Part.TEXT
        ? Math.min(limits.captions().maxCaptionBytes(), limits.images().maxBytes())
        : limits.images().maxBytes();
  }
}
