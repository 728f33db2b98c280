package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.Type;

/** Reads one shard of pairs row group by row group, in any order. */
public final class PairReader implements Closeable {
  private static final byte[] NO_IMAGE = {};

  /** Which columns to read; the fields of the others are empty or 0 in the pairs. */
  public enum Columns {
    ALL,
    CAPTIONS,
    SIZES,
    IDS;

    private MessageType schema() {
      return switch (this) {
        case ALL -> PairWriter.SCHEMA;
        case SIZES -> part("id", "image_id", "caption", "width", "height");
        case CAPTIONS -> part("id", "image_id", "caption");
        case IDS -> part("id", "image_id");
      };
    }

    private static MessageType part(String... names) {
      return new MessageType(
          PairWriter.SCHEMA.getName(),
          Arrays.stream(names).map(name -> PairWriter.SCHEMA.getType(name)).toList());
    }
  }

  private final Path path;
  private final RowGroupReader reader;
  private final Columns columns;

  private PairReader(Path path, RowGroupReader reader, Columns columns) {
    this.path = path;
    this.reader = reader;
    this.columns = columns;
  }

  /**
   * Opens a shard with all columns.
   *
   * @throws IOException when there is no such file, or it is not a whole shard of pairs
   */
  public static PairReader open(Configuration configuration, Path path) throws IOException {
    return open(configuration, path, Columns.ALL);
  }

  /** Opens a shard without the images. */
  public static PairReader captionsOnly(Configuration configuration, Path path) throws IOException {
    return open(configuration, path, Columns.CAPTIONS);
  }

  public static PairReader open(Configuration configuration, Path path, Columns columns)
      throws IOException {
    RowGroupReader reader = RowGroupReader.open(configuration, path);
    List<Type> fields = reader.schema().getFields();
    if (!fields.equals(PairWriter.SCHEMA.getFields())
        && !fields.equals(PairWriter.SCHEMA_WITH_HASH.getFields())) {
      IOException wrong =
          new IOException(
              message(
                  "Cannot read pairs from %s because it has other columns: %s.",
                  path, reader.schema().getFields()));
      reader.close();
      throw wrong;
    }
    return new PairReader(path, reader, columns);
  }

  public int rowGroups() {
    return reader.groups();
  }

  public long rows() {
    return reader.rows();
  }

  /** Rows of one row group. */
  public int rows(int group) {
    return reader.rows(group);
  }

  /** Bytes of one row group in the columns that are read. */
  public long bytes(int group) {
    return reader.bytes(group, columns.schema());
  }

  /** The identity in the footer ({@link Shard#identity}). */
  public String identity() {
    return reader.metadata().get(Footer.IDENTITY);
  }

  /** Reads one row group, in the order of the rows. */
  public List<Pair> readGroup(int group) throws IOException {
    RowGroupReader.Columns read = reader.read(group, columns.schema());
    List<String> ids = read.texts("id");
    List<String> imageIds = read.texts("image_id");
    List<String> captions = columns == Columns.IDS ? null : read.texts("caption");
    boolean all = columns == Columns.ALL;
    List<byte[]> images = all ? read.binaries("image") : null;
    boolean sizes = all || columns == Columns.SIZES;
    List<Integer> widths = sizes ? read.integers("width") : null;
    List<Integer> heights = sizes ? read.integers("height") : null;
    List<String> sources = all ? read.texts("source") : null;
    List<Pair> pairs = new ArrayList<>(read.rows());
    for (int i = 0; i < read.rows(); i++) {
      pairs.add(
          new Pair(
              ids.get(i),
              imageIds.get(i),
              captions == null ? "" : captions.get(i),
              all ? images.get(i) : NO_IMAGE,
              sizes ? widths.get(i) : 0,
              sizes ? heights.get(i) : 0,
              all ? sources.get(i) : ""));
    }
    return pairs;
  }

  /**
   * The images' perceptual hashes in one row group, in the order of the rows.
   *
   * @throws IOException when the shard was written without them
   */
  public List<Long> readHashes(int group) throws IOException {
    if (!reader.schema().containsField(PairWriter.HASH)) {
      throw new IOException(
          message(
              "Cannot compare images with those of %s because it has no perceptual hashes.", path));
    }
    Type hash = PairWriter.SCHEMA_WITH_HASH.getType(PairWriter.HASH);
    return reader
        .read(group, new MessageType(PairWriter.SCHEMA.getName(), hash))
        .longs(PairWriter.HASH);
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
