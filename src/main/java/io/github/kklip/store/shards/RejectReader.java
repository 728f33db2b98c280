package io.github.kklip.store.shards;

import io.github.kklip.store.Reject;
import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Reads one file of rejects row group by row group. */
public final class RejectReader implements Closeable {
  private final RowGroupReader reader;

  private RejectReader(RowGroupReader reader) {
    this.reader = reader;
  }

  public static RejectReader open(Configuration configuration, Path path) throws IOException {
    return new RejectReader(RowGroupReader.open(configuration, path));
  }

  public int rowGroups() {
    return reader.groups();
  }

  public List<Reject> readGroup(int group) throws IOException {
    RowGroupReader.Columns columns = reader.read(group, RejectWriter.SCHEMA);
    List<String> sources = columns.texts("source");
    List<String> keys = columns.texts("key");
    List<String> reasons = columns.texts("reason");
    List<String> details = columns.texts("detail");
    List<Reject> rejects = new ArrayList<>();
    for (int i = 0; i < columns.rows(); i++) {
      rejects.add(new Reject(sources.get(i), keys.get(i), reasons.get(i), details.get(i)));
    }
    return rejects;
  }

  @Override
  public void close() throws IOException {
    reader.close();
  }
}
