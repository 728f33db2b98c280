package io.github.kklip.store.shards;

import io.github.kklip.store.Label;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Reads the soft concept labels of one pair shard row group by row group, in any order. */
public final class LabelReader implements Closeable {
  private final RowGroupReader reader;

  private LabelReader(RowGroupReader reader) {
    this.reader = reader;
  }

  /**
   * Opens the labels of a shard.
   *
   * @throws IOException when there is no such file, it is damaged, was made with other settings or
   *     belongs to other pairs
   */
  public static LabelReader open(
      Configuration configuration, Path path, Shard shard, ProcessingSettings settings)
      throws IOException {
    RowGroupReader reader = RowGroupReader.open(configuration, path);
    try {
      new Footer(settings.digest(), shard.identity()).require(reader, path, shard);
      return new LabelReader(reader);
    } catch (IOException e) {
      reader.close();
      throw e;
    }
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

  /** Reads one row group, in the order of the rows. */
  public List<Label> readGroup(int group) throws IOException {
    RowGroupReader.Columns columns = reader.read(group, LabelWriter.SCHEMA);
    List<String> ids = columns.texts("id");
    List<int[]> concepts = columns.integerLists("concepts", "list", "element");
    List<float[]> weights = columns.floatLists("weights", "list", "element");
    List<Label> labels = new ArrayList<>(ids.size());
    for (int i = 0; i < ids.size(); i++) {
      labels.add(new Label(ids.get(i), concepts.get(i), weights.get(i)));
    }
    return labels;
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
