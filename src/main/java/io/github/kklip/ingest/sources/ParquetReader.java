package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.store.shards.DamagedFileException;
import io.github.kklip.store.shards.RowGroupReader;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.column.ColumnDescriptor;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;

/**
 * Parquet files with image bytes: as img2dataset writes them ({@code jpg}, {@code caption}) or as
 * Hugging Face does ({@code image.bytes}, {@code caption}); the caption is a text or a list of
 * texts.
 */
final class ParquetReader implements SourceReader {
  private static final List<String> IMAGE_COLUMNS =
      List.of("image.bytes", "image", "jpg", "png", "webp");
  private static final List<String> CAPTION_COLUMNS =
      List.of("caption", "captions", "text", "txt", "title");

  private final String imageColumn;
  private final String captionColumn;
  private final long maxBytes;

  ParquetReader(IngestSettings.SourceSettings source, long maxBytes) {
    this.imageColumn = source.imageColumn();
    this.captionColumn = source.captionColumn();
    this.maxBytes = maxBytes;
  }

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) throws IOException {
    try (RowGroupReader reader = RowGroupReader.openSource(configuration, new Path(file.path()))) {
      List<Unit> units = new ArrayList<>();
      columns(reader.schema());
      for (int group = 0; group < reader.groups(); group++) {
        units.add(new Unit(file.source(), file.path(), group, group, 0, List.of()));
      }
      return units;
    } catch (DamagedFileException | SchemaException e) {
      return List.of(Unit.whole(file.source(), file.path()));
    }
  }

  @Override
  public Members open(Configuration configuration, Unit unit) throws IOException {
    Path path = new Path(unit.path());
    try (RowGroupReader reader = RowGroupReader.openSource(configuration, path)) {
      ParquetColumns columns = columns(reader.schema());
      int group = Math.toIntExact(unit.from());
      refuseTooLarge(reader, group, columns, path);
      RowGroupReader.Columns cells = reader.read(group, columns.schema);
      return new ParquetRows(
          group, cells.binaryLists(columns.image), cells.binaryLists(columns.caption));
    } catch (SchemaException e) {
      return Members.of(Member.problem("", Problem.SCHEMA, e.getMessage()));
    } catch (DamagedFileException e) {
      String key = unit.from() == 0 ? "" : "row group " + unit.from();
      return Members.of(Member.problem(key, Problem.UNREADABLE, e.getMessage()));
    }
  }

  /** A row group is read whole: twice in memory, as pages and as values. */
  private static void refuseTooLarge(
      RowGroupReader reader, int group, ParquetColumns columns, Path path) {
    Runtime runtime = Runtime.getRuntime();
    long limit = runtime.maxMemory() / (2L * runtime.availableProcessors());
    long bytes = reader.bytes(group, columns.schema);
    if (2 * bytes > limit) {
      throw new IllegalStateException(
          message(
              "Cannot read row group %s of %s because it takes %s bytes twice and a task has %s. Give executors more memory, or write the file with smaller row groups.",
              group, path, bytes, limit));
    }
  }

  /** The file has not the columns that are needed. */
  private static final class SchemaException extends Exception {
    private static final long serialVersionUID = 1L;

    SchemaException(String message) {
      super(message);
    }
  }

  private record ParquetColumns(String[] image, String[] caption, MessageType schema) {}

  private ParquetColumns columns(MessageType schema) throws SchemaException {
    List<String> imageNames = imageColumn.isEmpty() ? IMAGE_COLUMNS : List.of(imageColumn);
    List<String> captionNames = captionColumn.isEmpty() ? CAPTION_COLUMNS : List.of(captionColumn);
    String[] image = find(schema, imageNames, 0);
    String[] caption = find(schema, captionNames, 1);
    List<org.apache.parquet.schema.Type> fields =
        schema.getFields().stream()
            .filter(f -> f.getName().equals(image[0]) || f.getName().equals(caption[0]))
            .toList();
    return new ParquetColumns(
        image, caption, part(new MessageType(schema.getName(), fields), image, caption));
  }

  /** Without the other columns inside the same structure, such as {@code image.path}. */
  private static MessageType part(MessageType schema, String[] image, String[] caption) {
    return new MessageType(
        schema.getName(),
        schema.getFields().stream()
            .map(field -> narrowed(field, field.getName().equals(image[0]) ? image : caption, 1))
            .toList());
  }

  private static org.apache.parquet.schema.Type narrowed(
      org.apache.parquet.schema.Type type, String[] path, int depth) {
    return type.isPrimitive()
        ? type
        : type.asGroupType()
            .withNewFields(narrowed(type.asGroupType().getType(path[depth]), path, depth + 1));
  }

  private static String[] find(MessageType schema, List<String> names, int maxRepetition)
      throws SchemaException {
    for (String name : names) {
      Optional<ColumnDescriptor> column =
          schema.getColumns().stream()
              .filter(c -> matches(c.getPath(), name.split("\\.")))
              .filter(c -> c.getMaxRepetitionLevel() <= maxRepetition)
              .filter(c -> c.getPrimitiveType().getPrimitiveTypeName() == PrimitiveTypeName.BINARY)
              .findFirst();
      if (column.isPresent()) {
        return column.get().getPath();
      }
    }
    throw new SchemaException(
        message(
            "the file has the columns %s, and one of %s with %s is needed: set image-column and caption-column",
            schema.getColumns().stream().map(c -> String.join(".", c.getPath())).toList(),
            names,
            maxRepetition == 0 ? "bytes" : "texts"));
  }

  /** A path is its own name, or that of a list whose elements it holds. */
  private static boolean matches(String[] path, String[] name) {
    return Arrays.equals(path, name)
        || (path.length == name.length + 2
            && Arrays.equals(Arrays.copyOf(path, name.length), name));
  }

  private final class ParquetRows implements Members {
    private final int group;
    private final List<List<byte[]>> images;
    private final List<List<byte[]>> captions;
    private int row;

    ParquetRows(int group, List<List<byte[]>> images, List<List<byte[]>> captions) {
      this.group = group;
      this.images = images;
      this.captions = captions;
    }

    @Override
    public Member next() {
      if (row == images.size()) {
        return null;
      }
      String key = "row group " + group + " row " + row;
      List<byte[]> image = images.set(row, List.of());
      Member.Picture picture;
      if (image.isEmpty()) {
        picture = Member.Picture.broken("", new Problem(Problem.NO_IMAGE, "the image is null"));
      } else if (image.get(0).length > maxBytes) {
        picture = Member.Picture.broken("", MemberContent.tooLarge(maxBytes));
      } else {
        picture = Member.Picture.of("", image.get(0));
      }
      List<Caption> texts = new ArrayList<>();
      List<byte[]> list = captions.get(row);
      for (int i = 0; i < list.size(); i++) {
        texts.add(MemberContent.caption(list.size() == 1 ? "" : "caption " + i, list.get(i)));
      }
      row++;
      return Member.of(key, picture, texts);
    }

    @Override
    public void close() {}
  }
}
