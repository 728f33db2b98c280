package io.github.kklip.store;

import com.fasterxml.jackson.annotation.JsonCreator;
import com.fasterxml.jackson.annotation.JsonProperty;
import java.io.Serializable;
import java.util.List;
import java.util.Locale;

/**
 * One shard of pairs. Files of all derived data (embeddings, labels) for these pairs have the same
 * rows in the same order.
 *
 * @param index counts up within the split over all generations
 * @param identity hash of the ids of its rows in order ({@link Identity.Rows}); derived files carry
 *     it
 * @param file inside the dataset's folder
 * @param blocks rows of its blocks in order, as {@link Blocks} writes them: no block has two
 *     captions of one image. Empty where the rows are in random order (format 1)
 */
public record Shard(Split split, int index, long rows, String identity, String file, String blocks)
    implements Serializable {

  /** A shard of format 1: its name says where it is, and its rows are in random order. */
  public Shard(Split split, int index, long rows, String identity) {
    this(split, index, rows, identity, "pairs/" + stem(split, index) + ".parquet", "");
  }

  /** Manifests and checkpoints of format 1 name neither files nor blocks. */
  @JsonCreator(mode = JsonCreator.Mode.DELEGATING)
  static Shard read(Fields read) {
    if (read.split == null || read.index == null || read.rows == null || read.identity == null) {
      throw new IllegalArgumentException(
          "Cannot read a shard without split, index, rows and identity.");
    }
    return read.file == null || read.blocks == null
        ? new Shard(read.split, read.index, read.rows, read.identity)
        : new Shard(read.split, read.index, read.rows, read.identity, read.file, read.blocks);
  }

  /** As in JSON, where the last two may be missing. */
  static final class Fields {
    @JsonProperty private Split split;
    @JsonProperty private Integer index;
    @JsonProperty private Long rows;
    @JsonProperty private String identity;
    @JsonProperty private String file;
    @JsonProperty private String blocks;
  }

  /** {@code train-00000}: how names of its files begin. */
  public String stem() {
    return stem(split, index);
  }

  /** {@code train-00000}: how names of the files of a shard begin. */
  public static String stem(Split split, int index) {
    return String.format(Locale.ROOT, "%s-%05d", split.keyword(), index);
  }

  /** The name of its derived files in format 1. */
  public String fileName() {
    return stem() + ".parquet";
  }

  /** Rows of each block in order. */
  public List<Integer> blockRows() {
    return Blocks.read(blocks, rows);
  }
}
