package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings.ImageContent;
import io.github.kklip.config.IngestSettings.SourceSettings;
import java.util.ArrayList;
import java.util.List;
import java.util.function.BiPredicate;
import java.util.stream.Stream;

/**
 * A column of a table, or a field of a structure in one, with what the search for images and
 * captions has to know of it.
 *
 * @param type for messages, as the table's format names it
 * @param place where the table's format keeps the values: the steps from the root
 * @param inside the fields of a structure, the elements of a list
 */
public record TableColumn(
    String name, Kind kind, String type, List<String> place, List<TableColumn> inside) {
  private static final List<String> IMAGES =
      List.of("image", "jpg", "jpeg", "png", "webp", "images", "img");
  private static final List<String> CAPTIONS =
      List.of("caption", "captions", "text", "texts", "txt", "title", "json.caption");

  /** What a column holds. */
  public enum Kind {
    /** Bytes or a text, which some formats do not tell apart. */
    BYTES,
    STRUCTURE,
    LIST,
    OTHER
  }

  /** The table has not the columns that are needed. */
  public static final class SchemaException extends Exception {
    private static final long serialVersionUID = 1L;

    SchemaException(String message) {
      super(message);
    }
  }

  /**
   * Where values are found.
   *
   * @param names the columns' and fields' names from the root to the values, without the steps that
   *     lists are
   * @param place as {@link TableColumn#place}
   */
  public record Found(List<String> names, List<String> place) {}

  /** The images' values and the captions'. */
  public record Pair(Found image, Found caption) {}

  /**
   * The columns that a source names, or else those of the usual names: the first of several names
   * with {@code ;} between them that is there. A name leads to a column whose name it is, dots
   * included, or through structures, one at each dot; upper and lower case differ only where two
   * names differ in nothing else. Lists are passed through: {@code images.bytes} is the field
   * {@code bytes} of each element of {@code images}.
   *
   * @param what of the table, for messages: {@code the file}
   * @throws SchemaException naming the columns that are there, and the keys to set
   */
  public static Pair find(List<TableColumn> columns, SourceSettings source, String what)
      throws SchemaException {
    String field = source.imageContent() == ImageContent.PATH ? "path" : "bytes";
    return new Pair(
        find(columns, source.imageColumn(), IMAGES, field, "image", what),
        find(columns, source.captionColumn(), CAPTIONS, "", "caption", what));
  }

  /** One column by its name, such as that of rows' ids. */
  public static Found find(List<TableColumn> columns, String name, String key, String what)
      throws SchemaException {
    List<Reached> reached = reached(columns, name);
    if (reached.isEmpty()) {
      throw missing(columns, List.of(name), key, what);
    }
    return new Found(reached.get(0).names, reached.get(0).column.place);
  }

  private static Found find(
      List<TableColumn> columns,
      String given,
      List<String> usual,
      String field,
      String key,
      String what)
      throws SchemaException {
    List<String> names = given.isEmpty() ? usual : List.of(given.split(";", -1));
    for (String name : names) {
      for (Reached reached : reached(columns, name)) {
        Reached values = reached.values(field);
        if (values != null) {
          return new Found(values.names, values.column.place);
        }
      }
    }
    throw missing(columns, names, key, what);
  }

  private static SchemaException missing(
      List<TableColumn> columns, List<String> names, String key, String what) {
    return new SchemaException(
        message(
            "%s has the columns %s, and none is %s%s%s: set %s-column",
            what,
            columns.stream().flatMap(TableColumn::described).toList(),
            names.size() == 1 ? "" : "one of ",
            String.join(", ", names),
            switch (key) {
              case "image" -> " with bytes";
              case "caption" -> " with texts";
              default -> "";
            },
            key));
  }

  private Stream<String> described() {
    return kind == Kind.STRUCTURE
        ? inside.stream().flatMap(TableColumn::described).map(text -> name + "." + text)
        : Stream.of(name + ": " + type);
  }

  /** What a name leads to, the likeliest first. */
  private static List<Reached> reached(List<TableColumn> columns, String name) {
    List<Reached> exact = reached(columns, name, String::equals);
    return exact.isEmpty() ? reached(columns, name, String::equalsIgnoreCase) : exact;
  }

  private static List<Reached> reached(
      List<TableColumn> columns, String name, BiPredicate<String, String> same) {
    List<Reached> found = new ArrayList<>();
    for (TableColumn column : columns) {
      if (same.test(column.name, name)) {
        found.add(0, new Reached(List.of(column.name), column, 0));
      } else if (name.length() > column.name.length()
          && name.charAt(column.name.length()) == '.'
          && same.test(column.name, name.substring(0, column.name.length()))) {
        Reached outer = new Reached(List.of(column.name), column, 0).unlisted();
        if (outer.column.kind == Kind.STRUCTURE) {
          for (Reached inner :
              reached(outer.column.inside, name.substring(column.name.length() + 1), same)) {
            List<String> names = new ArrayList<>(outer.names);
            names.addAll(inner.names);
            found.add(new Reached(names, inner.column, outer.lists + inner.lists));
          }
        }
      }
    }
    return found;
  }

  /** A column with the names and the lists on the way to it. */
  private record Reached(List<String> names, TableColumn column, int lists) {
    /** The elements, where it is a list. */
    Reached unlisted() {
      return column.kind == Kind.LIST
          ? new Reached(names, column.inside.get(0), lists + 1).unlisted()
          : this;
    }

    /** Values of bytes in it, of a structure those of its {@code field}; null when it has none. */
    Reached values(String field) {
      Reached values = unlisted();
      if (values.column.kind == Kind.STRUCTURE && !field.isEmpty()) {
        for (TableColumn inner : values.column.inside) {
          if (inner.name.equalsIgnoreCase(field)) {
            List<String> longer = new ArrayList<>(values.names);
            longer.add(inner.name);
            values = new Reached(longer, inner, values.lists).unlisted();
            break;
          }
        }
      }
      return values.column.kind == Kind.BYTES && values.lists <= 1 ? values : null;
    }
  }
}
