package io.github.kklip.store.shards;

import static io.github.kklip.config.Message.message;

import io.github.kklip.store.Label;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.parquet.schema.MessageType;
import org.apache.parquet.schema.MessageTypeParser;

/** Soft concept labels. */
public record LabelFormat() implements RowFormat<Label> {
  private static final MessageType SCHEMA =
      MessageTypeParser.parseMessageType(
          "message label { required binary id (STRING);"
              + " required group concepts (LIST) { repeated group list { required int32 element; } }"
              + " required group weights (LIST) { repeated group list { required float element; } }"
              + " }");

  @Override
  public MessageType schema() {
    return SCHEMA;
  }

  @Override
  public long bytes(Label label) {
    return 8L * label.concepts().length;
  }

  @Override
  public void write(Label label, RowGroupWriter cells) {
    if (label.concepts().length != label.weights().length) {
      throw new IllegalArgumentException(
          message(
              "Cannot write a label of %s concepts and %s weights: each concept has one.",
              label.concepts().length, label.weights().length));
    }
    cells.text(0, label.id());
    cells.integers(1, label.concepts());
    cells.floats(2, label.weights());
  }

  @Override
  public List<Label> read(RowGroupReader.Columns columns) throws IOException {
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
  public String id(Label label) {
    return label.id();
  }
}
