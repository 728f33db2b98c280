package io.github.kklip.ingest;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings.SourceSettings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.sources.Member;
import io.github.kklip.ingest.sources.Members;
import io.github.kklip.ingest.sources.RowSamples;
import io.github.kklip.ingest.sources.SourceFiles;
import io.github.kklip.ingest.sources.SourceFiles.SourceFile;
import io.github.kklip.ingest.sources.TableColumn;
import io.github.kklip.ingest.sources.TableColumn.Found;
import io.github.kklip.ingest.sources.TableColumn.Kind;
import io.github.kklip.ingest.sources.TableColumn.SchemaException;
import io.github.kklip.ingest.sources.Unit;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Deque;
import java.util.Iterator;
import java.util.List;
import java.util.Objects;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import org.apache.spark.api.java.JavaRDD;
import org.apache.spark.sql.AnalysisException;
import org.apache.spark.sql.Column;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;
import org.apache.spark.sql.functions;
import org.apache.spark.sql.types.ArrayType;
import org.apache.spark.sql.types.BinaryType;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StringType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * A table, view or query of the session's catalog as a source.
 *
 * <p>Where each row of a table tells the file that it stands in, the files are what the dataset
 * remembers: a later run reads the rows of new files alone. So it is for tables of files (Parquet,
 * ORC, Delta: {@code _metadata.file_path}) and of Iceberg ({@code _file}). Views and queries are
 * read anew by each run: nothing says whether they give the same rows.
 */
final class TableSource {
  private static final Logger LOG = LoggerFactory.getLogger(TableSource.class);

  private static final int IMAGES = 0;
  private static final int CAPTIONS = 1;
  private static final int ID = 2;

  private final SparkSession session;
  private final int index;
  private final SourceSettings source;
  private final Dataset<Row> rows;

  /** Those of images, captions and ids. */
  private final List<Column> columns;

  private final Optional<Column> file;
  private final boolean iceberg;

  private TableSource(
      SparkSession session,
      int index,
      SourceSettings source,
      Dataset<Row> rows,
      List<Column> columns,
      Optional<Column> file,
      boolean iceberg) {
    this.session = session;
    this.index = index;
    this.source = source;
    this.rows = rows;
    this.columns = columns;
    this.file = file;
    this.iceberg = iceberg;
  }

  /**
   * Finds the table and its columns; rows are not looked at.
   *
   * @throws SettingsException when there is no such table, it has not the columns that are needed,
   *     or the query is none
   */
  static TableSource open(SparkSession session, int index, SourceSettings source) {
    boolean table = !source.table().isBlank();
    Dataset<Row> found =
        analysed(
            index,
            source,
            () ->
                table
                    ? session.table(source.table())
                    // In brackets, a command is no query: nothing is run that changes something.
                    : session.sql("SELECT * FROM (\n" + source.query() + "\n)"));
    boolean iceberg = table && resolves(() -> found, "_file") && isIceberg(session, source.table());
    boolean ofFiles =
        table && !iceberg && resolves(() -> found, "_metadata.file_path", "_metadata.file_size");
    Dataset<Row> rows =
        ofFiles ? analysed(index, source, () -> refreshed(session, source.table())) : found;
    Optional<Column> file = Optional.empty();
    if (iceberg || ofFiles) {
      file = Optional.of(functions.col(iceberg ? "_file" : "_metadata.file_path"));
    }
    List<Column> columns = new ArrayList<>();
    try {
      List<TableColumn> there = columns(rows.schema(), List.of());
      String what = table ? "the table" : "the query";
      TableColumn.Pair chosen = TableColumn.find(there, source, what);
      columns.add(column(chosen.image()).as("image"));
      columns.add(column(chosen.caption()).as("caption"));
      columns.add(
          source.idColumn().isEmpty()
              ? functions.lit("").as("id")
              : column(TableColumn.find(there, source.idColumn(), "id", what))
                  .cast("string")
                  .as("id"));
    } catch (SchemaException e) {
      throw SourceFiles.refused(index, source, e.getMessage());
    }
    Dataset<Row> unused =
        analysed(index, source, () -> rows.select(columns.toArray(Column[]::new)));
    return new TableSource(session, index, source, rows, columns, file, iceberg);
  }

  /**
   * A table, listed anew: another program may have added files. A view is not, as what its session
   * has cached of it would be made again.
   */
  private static Dataset<Row> refreshed(SparkSession session, String table) {
    try {
      session.catalog().refreshTable(table);
    } catch (RuntimeException e) {
      // Of a path in place of a name, which each look lists anew.
      LOG.debug("Cannot list {} anew", table, e);
    }
    return session.table(table);
  }

  /** Spark finds fault with a statement by this exception, which it does not declare. */
  private static <T> T analysed(int index, SourceSettings source, Callable<T> statement) {
    try {
      return statement.call();
    } catch (AnalysisException e) {
      throw SourceFiles.refused(index, source, "Spark says: " + firstLine(e.getMessage()));
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(
          message("Cannot look at %s: %s", source.name(), e.getMessage()), e);
    }
  }

  /** Without the plan or the statement that Spark shows below. */
  private static String firstLine(String text) {
    String line =
        text.lines().filter(candidate -> !candidate.isBlank()).findFirst().orElse("").strip();
    return line.endsWith(".") || line.endsWith(";") ? line.substring(0, line.length() - 1) : line;
  }

  private static boolean resolves(Supplier<Dataset<Row>> rows, String... names) {
    try {
      Dataset<Row> unused =
          rows.get().select(Arrays.stream(names).map(functions::col).toArray(Column[]::new));
      return true;
    } catch (Exception e) {
      if (e instanceof AnalysisException) {
        return false;
      }
      throw e;
    }
  }

  /** Its table of files is a table inside of its name. */
  private static boolean isIceberg(SparkSession session, String table) {
    return resolves(
        () -> session.table(table + ".files"), "content", "file_path", "file_size_in_bytes");
  }

  private static Column column(Found found) {
    return functions.col(
        found.names().stream()
            .map(name -> "`" + name.replace("`", "``") + "`")
            .collect(Collectors.joining(".")));
  }

  private static List<TableColumn> columns(StructType schema, List<String> outer) {
    List<TableColumn> columns = new ArrayList<>();
    for (StructField field : schema.fields()) {
      columns.add(column(field.name(), field.dataType(), outer));
    }
    return columns;
  }

  private static TableColumn column(String name, DataType type, List<String> outer) {
    List<String> place = new ArrayList<>(outer);
    place.add(name);
    if (type instanceof StructType structure) {
      return new TableColumn(name, Kind.STRUCTURE, "structure", place, columns(structure, place));
    }
    if (type instanceof ArrayType array) {
      TableColumn element = column(name, array.elementType(), outer);
      return new TableColumn(name, Kind.LIST, "list of " + element.type(), place, List.of(element));
    }
    boolean text = type instanceof StringType;
    boolean bytes = type instanceof BinaryType;
    return new TableColumn(
        name,
        text || bytes ? Kind.BYTES : Kind.OTHER,
        text ? "text" : bytes ? "bytes" : type.simpleString(),
        place,
        List.of());
  }

  /**
   * The files of the table, or one entry without a fingerprint for a table, view or query whose
   * rows do not tell theirs.
   *
   * @throws SettingsException when there are no rows
   */
  List<SourceFile> files() {
    if (file.isEmpty()) {
      return List.of(new SourceFile(Unit.whole(index, source.name()), ""));
    }
    List<SourceFile> files =
        listed().stream()
            .map(
                row ->
                    new SourceFile(
                        Unit.whole(index, row.getString(0)),
                        SourceFiles.fingerprint(
                            source, row.getString(0), row.getLong(1), row.getLong(2))))
            .toList();
    if (files.isEmpty()) {
      throw SourceFiles.refused(index, source, "it is empty: it holds no rows");
    }
    return files;
  }

  /** Name, length and time of modification, which Iceberg has not: its files never change. */
  private List<Row> listed() {
    Dataset<Row> files =
        iceberg
            ? session
                .table(source.table() + ".files")
                .where("content = 0")
                .selectExpr("file_path", "file_size_in_bytes", "0L")
            : rows.selectExpr(
                "_metadata.file_path",
                "_metadata.file_size",
                "unix_millis(_metadata.file_modification_time)");
    return files.distinct().orderBy(files.columns()[0]).collectAsList();
  }

  /**
   * The rows of some of its files, in parts that tasks read.
   *
   * @param all the files that there are
   * @param fresh those whose rows are asked for
   */
  JavaRDD<Row> rows(List<SourceFile> all, List<SourceFile> fresh) {
    Dataset<Row> wanted =
        fresh.size() == all.size()
            ? rows
            : rows.where(
                file.orElseThrow()
                    .isInCollection(fresh.stream().map(one -> one.unit().path()).toList()));
    return wanted.select(columns.toArray(Column[]::new)).toJavaRDD();
  }

  /** The units of the parts of {@link #rows}. */
  List<Unit> units(int parts) {
    List<Unit> units = new ArrayList<>();
    for (int part = 0; part < parts; part++) {
      units.add(new Unit(index, source.name(), part, part, 0, List.of()));
    }
    return units;
  }

  int index() {
    return index;
  }

  /**
   * The samples of rows.
   *
   * @param part which part of the table they are
   */
  static Members members(Iterator<Row> rows, int part, RowSamples samples) {
    return new Members() {
      private final Deque<Member> ready = new ArrayDeque<>();
      private long number;

      @Override
      public Member next() throws IOException {
        if (ready.isEmpty()) {
          if (!rows.hasNext()) {
            return null;
          }
          Row row = rows.next();
          String id = row.isNullAt(ID) ? "" : row.getString(ID);
          ready.addAll(
              samples.of(
                  id.isEmpty() ? "part " + part + " row " + number : id,
                  cells(row, IMAGES),
                  cells(row, CAPTIONS).stream().filter(Objects::nonNull).toList()));
          number++;
        }
        return ready.remove();
      }

      @Override
      public void close() {}
    };
  }

  /** Bytes, a text, a list of them, or none. */
  private static List<byte[]> cells(Row row, int column) {
    if (row.isNullAt(column)) {
      return List.of();
    }
    Object value = row.get(column);
    List<byte[]> cells = new ArrayList<>();
    if (value instanceof byte[] || value instanceof String) {
      cells.add(bytes(value));
    } else {
      row.getList(column).forEach(element -> cells.add(bytes(element)));
    }
    return cells;
  }

  private static byte[] bytes(Object cell) {
    return cell instanceof String text ? text.getBytes(StandardCharsets.UTF_8) : (byte[]) cell;
  }
}
