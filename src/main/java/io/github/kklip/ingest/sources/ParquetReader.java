package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.TableColumn.Kind;
import io.github.kklip.ingest.sources.TableColumn.SchemaException;
import io.github.kklip.store.shards.DamagedFileException;
import io.github.kklip.store.shards.RowGroupReader;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.schema.GroupType;
import org.apache.parquet.schema.LogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.ListLogicalTypeAnnotation;
import org.apache.parquet.schema.LogicalTypeAnnotation.StringLogicalTypeAnnotation;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.PrimitiveType.PrimitiveTypeName;
import org.apache.parquet.schema.Type;

/**
 * Parquet files with images and captions: as img2dataset writes them ({@code jpg}, {@code
 * caption}), or as Hugging Face does ({@code image.bytes}, {@code caption}), also those that it
 * makes of WebDataset archives ({@code jpg.bytes}, {@code txt}). Images and captions may stand in
 * lists.
 */
final class ParquetReader implements SourceReader {
  private final IngestSettings.SourceSettings source;
  private final long maxBytes;

  ParquetReader(IngestSettings.SourceSettings source, long maxBytes) {
    this.source = source;
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
          group,
          RowSamples.ofFile(configuration, source, path, maxBytes),
          cells.binaryLists(columns.image),
          cells.binaryLists(columns.caption));
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

  private record ParquetColumns(String[] image, String[] caption, MessageType schema) {}

  private ParquetColumns columns(MessageType schema) throws SchemaException {
    TableColumn.Pair found =
        TableColumn.find(
            schema.getFields().stream().map(field -> column(field, List.of())).toList(),
            source,
            "the file");
    String[] image = found.image().place().toArray(String[]::new);
    String[] caption = found.caption().place().toArray(String[]::new);
    return new ParquetColumns(
        image,
        caption,
        new MessageType(schema.getName(), narrowed(schema, List.of(image, caption), 0)));
  }

  /** A part of the schema, without what does not lead to one of {@code leaves}. */
  private static List<Type> narrowed(GroupType group, List<String[]> leaves, int depth) {
    List<Type> fields = new ArrayList<>();
    for (Type field : group.getFields()) {
      List<String[]> through =
          leaves.stream()
              .filter(leaf -> leaf.length > depth && leaf[depth].equals(field.getName()))
              .toList();
      if (!through.isEmpty()) {
        fields.add(
            field.isPrimitive()
                ? field
                : field
                    .asGroupType()
                    .withNewFields(narrowed(field.asGroupType(), through, depth + 1)));
      }
    }
    return fields;
  }

  private static TableColumn column(Type type, List<String> outer) {
    TableColumn column = element(type, outer);
    return type.isRepetition(Type.Repetition.REPEATED)
        ? new TableColumn(
            type.getName(), Kind.LIST, "list of " + column.type(), column.place(), List.of(column))
        : column;
  }

  /** A column, or one element of a repeated one. */
  private static TableColumn element(Type type, List<String> outer) {
    List<String> place = new ArrayList<>(outer);
    place.add(type.getName());
    if (type.isPrimitive()) {
      PrimitiveTypeName primitive = type.asPrimitiveType().getPrimitiveTypeName();
      boolean bytes = primitive == PrimitiveTypeName.BINARY;
      boolean text = type.getLogicalTypeAnnotation() instanceof StringLogicalTypeAnnotation;
      return new TableColumn(
          type.getName(),
          bytes ? Kind.BYTES : Kind.OTHER,
          bytes ? text ? "text" : "bytes" : primitive.name().toLowerCase(Locale.ROOT),
          place,
          List.of());
    }
    GroupType group = type.asGroupType();
    LogicalTypeAnnotation annotation = group.getLogicalTypeAnnotation();
    if (annotation != null && !(annotation instanceof ListLogicalTypeAnnotation)) {
      String name = annotation.toString().toLowerCase(Locale.ROOT);
      return new TableColumn(type.getName(), Kind.OTHER, name, place, List.of());
    }
    boolean list =
        annotation != null
            && group.getFieldCount() == 1
            && group.getType(0).isRepetition(Type.Repetition.REPEATED);
    if (list) {
      TableColumn elements = elements(group, place);
      return new TableColumn(
          type.getName(), Kind.LIST, "list of " + elements.type(), place, List.of(elements));
    }
    return new TableColumn(
        type.getName(),
        Kind.STRUCTURE,
        "structure",
        place,
        group.getFields().stream().map(field -> column(field, place)).toList());
  }

  /**
   * The elements of a list: the repeated field itself where it is no group, has several fields or a
   * name that older writers gave it, and otherwise its only field. Parquet's specification has the
   * rules.
   */
  private static TableColumn elements(GroupType list, List<String> place) {
    Type repeated = list.getType(0);
    if (repeated.isPrimitive()
        || repeated.asGroupType().getFieldCount() != 1
        || repeated.getName().equals("array")
        || repeated.getName().equals(list.getName() + "_tuple")) {
      return element(repeated, place);
    }
    List<String> inner = new ArrayList<>(place);
    inner.add(repeated.getName());
    return column(repeated.asGroupType().getType(0), inner);
  }

  private static final class ParquetRows implements Members {
    private final int group;
    private final RowSamples samples;
    private final List<List<byte[]>> images;
    private final List<List<byte[]>> captions;
    private final Deque<Member> ready = new ArrayDeque<>();
    private int row;

    ParquetRows(
        int group, RowSamples samples, List<List<byte[]>> images, List<List<byte[]>> captions) {
      this.group = group;
      this.samples = samples;
      this.images = images;
      this.captions = captions;
    }

    @Override
    public Member next() throws IOException {
      if (ready.isEmpty()) {
        if (row == images.size()) {
          return null;
        }
        ready.addAll(
            samples.of(
                "row group " + group + " row " + row,
                images.set(row, List.of()),
                captions.get(row).stream().filter(Objects::nonNull).toList()));
        row++;
      }
      return ready.remove();
    }

    @Override
    public void close() {}
  }
}
