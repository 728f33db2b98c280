package io.github.kklip.store.shards;

import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import java.io.Closeable;
import java.io.IOException;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.apache.parquet.io.api.Binary;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;

/**
 * Writes one shard of pairs. {@link #commit} puts the file in its place and tells its identity;
 * {@link #close} without it leaves nothing.
 */
public final class PairWriter implements Closeable {
  static final MessageType SCHEMA =
      MessageTypeParser.parseMessageType(
          "message pair {"
              + " required binary id (STRING);"
              + " required binary image_id (STRING);"
              + " required binary caption (STRING);"
              + " required binary image;"
              + " required int32 width;"
              + " required int32 height;"
              + " required binary source (STRING); }");

  /** The column that only datasets without near-duplicates have, after the others. */
  static final String HASH = "perceptual_hash";

  static final MessageType SCHEMA_WITH_HASH =
      SCHEMA.union(
          MessageTypeParser.parseMessageType("message pair { required int64 " + HASH + "; }"));

  private final RowGroupWriter writer;
  private final boolean hashes;
  private final Identity.Rows identity = new Identity.Rows();

  /**
   * @param rowsPerGroup rows of a row group at most; 16 MiB end one as well
   */
  public PairWriter(Configuration configuration, Path path, int rowsPerGroup) throws IOException {
    this(configuration, path, rowsPerGroup, false);
  }

  /**
   * @param hashes whether the images' perceptual hashes are kept too
   */
  public PairWriter(Configuration configuration, Path path, int rowsPerGroup, boolean hashes)
      throws IOException {
    this.hashes = hashes;
    writer =
        new RowGroupWriter(configuration, path, hashes ? SCHEMA_WITH_HASH : SCHEMA, rowsPerGroup);
  }

  /** A pair whose image has no perceptual hash. */
  public void write(Pair pair) throws IOException {
    write(pair, 0);
  }

  /**
   * Writes a pair as the next row.
   *
   * @param hash the image's perceptual hash, left out unless this writer keeps hashes
   */
  public void write(Pair pair, long hash) throws IOException {
    writer.startRow(pair.image().length + (long) pair.caption().length());
    writer.text(0, pair.id());
    writer.text(1, pair.imageId());
    writer.text(2, pair.caption());
    writer.binary(3, Binary.fromConstantByteArray(pair.image()));
    writer.integer(4, pair.width());
    writer.integer(5, pair.height());
    writer.text(6, pair.source());
    if (hashes) {
      writer.longInteger(7, hash);
    }
    writer.endRow();
    identity.add(pair.id());
  }

  public long rows() {
    return writer.rows();
  }

  /** Publishes the file; returns the identity of its rows. */
  public String commit() throws IOException {
    String hex = identity.hexAndReset();
    writer.commit(Map.of(Footer.IDENTITY, hex));
    return hex;
  }

  @Override
  public void close() throws IOException {
    writer.close();
  }
}
