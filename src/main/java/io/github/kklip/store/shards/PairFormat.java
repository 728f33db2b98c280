package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Pair;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.stream.Stream;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;
import org.apache.parquet.schema.Type;

/**
 * Pairs, by the columns that are read; the fields of the others are empty or 0 in the pairs.
 * Captions of an image in one row group share the array of its bytes where the file has it once.
 */
public enum PairFormat implements RowFormat<Pair> {
  ALL,
  CAPTIONS,
  SIZES,
  IDS;

  private static final MessageType SCHEMA =
      MessageTypeParser.parseMessageType(
          "message pair {"
              + " required binary id (STRING);"
              + " required binary image_id (STRING);"
              + " required binary caption (STRING);"
              + " required binary image;"
              + " required int32 width;"
              + " required int32 height;"
              + " required binary source (STRING); }");

  /** The column that files of format 1 do not have, after those. */
  static final MessageType SPLIT =
      MessageTypeParser.parseMessageType("message pair { required binary split (STRING); }");

  /** The column that only datasets without near-duplicates have, after the others. */
  static final MessageType HASH =
      MessageTypeParser.parseMessageType("message pair { required int64 perceptual_hash; }");

  private static final byte[] NO_IMAGE = {};

  @Override
  public MessageType schema() {
    return switch (this) {
      case ALL -> SCHEMA;
      case SIZES -> part("id", "image_id", "caption", "width", "height");
      case CAPTIONS -> part("id", "image_id", "caption");
      case IDS -> part("id", "image_id");
    };
  }

  private static MessageType part(String... names) {
    return new MessageType(
        SCHEMA.getName(), Arrays.stream(names).map(name -> SCHEMA.getType(name)).toList());
  }

  @Override
  public PairFormat in(RowGroupReader file) throws IOException {
    List<Type> fields = file.schema().getFields();
    MessageType split = SCHEMA.union(SPLIT);
    if (Stream.of(SCHEMA, SCHEMA.union(HASH), split, split.union(HASH))
        .noneMatch(schema -> schema.getFields().equals(fields))) {
      throw new IOException(
          message(
              "Cannot read pairs from %s because it has other columns: %s.", file.path(), fields));
    }
    return this;
  }

  @Override
  public long bytes(Pair pair) {
    return pair.image().length + (long) pair.caption().length();
  }

  @Override
  public void write(Pair pair, RowGroupWriter cells) {
    cells.text(0, pair.id());
    cells.text(1, pair.imageId());
    cells.text(2, pair.caption());
    cells.binary(3, Binary.fromConstantByteArray(pair.image()));
    cells.integer(4, pair.width());
    cells.integer(5, pair.height());
    cells.text(6, pair.source());
  }

  @Override
  public List<Pair> read(RowGroupReader.Columns columns) throws IOException {
    List<String> ids = columns.texts("id");
    List<String> imageIds = columns.texts("image_id");
    List<String> captions = this == IDS ? null : columns.texts("caption");
    List<byte[]> images = this == ALL ? columns.binaries("image") : null;
    boolean sizes = this == ALL || this == SIZES;
    List<Integer> widths = sizes ? columns.integers("width") : null;
    List<Integer> heights = sizes ? columns.integers("height") : null;
    List<String> sources = this == ALL ? columns.texts("source") : null;
    List<Pair> pairs = new ArrayList<>(columns.rows());
    for (int i = 0; i < columns.rows(); i++) {
      pairs.add(
          new Pair(
              ids.get(i),
              imageIds.get(i),
              captions == null ? "" : captions.get(i),
              images == null ? NO_IMAGE : images.get(i),
              sizes ? widths.get(i) : 0,
              sizes ? heights.get(i) : 0,
              sources == null ? "" : sources.get(i)));
    }
    return pairs;
  }

  @Override
  public String id(Pair pair) {
    return pair.id();
  }
}
