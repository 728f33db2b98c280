package io.github.kklip.ml;

import static io.github.kklip.config.Message.message;

import io.github.kklip.tasks.TaskPlace;
import java.io.IOException;
import java.io.Serializable;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Set;
import java.util.stream.Collectors;
import org.apache.spark.TaskContext;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.ml.Transformer;
import org.apache.spark.ml.linalg.SQLDataTypes;
import org.apache.spark.ml.linalg.Vectors;
import org.apache.spark.ml.param.IntParam;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamMap;
import org.apache.spark.ml.param.ParamValidators;
import org.apache.spark.ml.util.DefaultParamsWritable;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.StructField;
import org.apache.spark.sql.types.StructType;
import org.apache.spark.util.TaskCompletionListener;

/**
 * Adds a column of embeddings, {@code org.apache.spark.ml.linalg.Vector}, to a dataset. Each
 * partition opens the model once and embeds {@code batchSize} rows at a time. A null, or a value
 * that cannot be embedded, has the embedding null: no row is lost.
 *
 * @param <T> the transformer itself, for setters that can be chained
 */
public abstract class EmbeddingTransformer<T extends EmbeddingTransformer<T>> extends Transformer
    implements DefaultParamsWritable {
  private static final long serialVersionUID = 1L;

  private final String uid;
  private final Param<String> inputCol;
  private final Param<String> outputCol;
  private final IntParam batchSize;

  EmbeddingTransformer(String uid) {
    // Parameters take the identity of their owner when they are made, so it has to be there.
    this.uid = uid;
    inputCol = new Param<>(this, "inputCol", "column to embed");
    outputCol = new Param<>(this, "outputCol", "column of embeddings");
    batchSize =
        new IntParam(this, "batchSize", "rows that are embedded together", ParamValidators.gtEq(1));
    setDefault(outputCol, "embedding");
    setDefault(batchSize, 64);
  }

  /** What a partition embeds with. */
  interface Model extends AutoCloseable {
    /**
     * The embeddings of values, none of which is null, in their order.
     *
     * @return null stands for a value that cannot be embedded
     */
    List<float[]> embed(List<Object> values);

    @Override
    void close() throws IOException;
  }

  /** Opens a model on an executor. */
  interface Source extends Serializable {
    Model open(TaskPlace place) throws IOException;
  }

  /** Checks the parameters on the driver and says where the model comes from. */
  abstract Source source(Dataset<?> dataset, DataType input);

  /** Types that the input column may have. */
  abstract Set<DataType> inputTypes();

  abstract T self();

  @Override
  public String uid() {
    return uid;
  }

  public Param<String> inputCol() {
    return inputCol;
  }

  public Param<String> outputCol() {
    return outputCol;
  }

  public IntParam batchSize() {
    return batchSize;
  }

  public T setInputCol(String value) {
    set(inputCol, value);
    return self();
  }

  public T setOutputCol(String value) {
    set(outputCol, value);
    return self();
  }

  public T setBatchSize(int value) {
    set(batchSize, value);
    return self();
  }

  @Override
  public Dataset<Row> transform(Dataset<?> dataset) {
    StructType schema = transformSchema(dataset.schema());
    int column = schema.fieldIndex($(inputCol));
    Source source = source(dataset, schema.apply(column).dataType());
    return dataset
        .toDF()
        .mapPartitions(
            new EmbedPartition(source, column, (int) $(batchSize)), Encoders.row(schema));
  }

  @Override
  public StructType transformSchema(StructType schema) {
    String input = $(inputCol);
    String output = $(outputCol);
    StructField field = schema.apply(input);
    if (!inputTypes().contains(field.dataType())) {
      throw new IllegalArgumentException(
          message(
              "Cannot embed the column %s because it holds %s. It must hold %s.",
              input,
              field.dataType().catalogString(),
              inputTypes().stream()
                  .map(DataType::catalogString)
                  .sorted()
                  .collect(Collectors.joining(" or "))));
    }
    if (List.of(schema.fieldNames()).contains(output)) {
      throw new IllegalArgumentException(
          message(
              "Cannot write the embeddings because there is a column %s. Set outputCol.", output));
    }
    return schema.add(output, SQLDataTypes.VectorType(), true);
  }

  @Override
  public Transformer copy(ParamMap extra) {
    return defaultCopy(extra);
  }

  private record EmbedPartition(Source source, int column, int batchSize)
      implements MapPartitionsFunction<Row, Row> {
    @Override
    public Iterator<Row> call(Iterator<Row> rows) throws IOException {
      TaskContext context = TaskContext.get();
      Model model = source.open(TaskPlace.of(context, 0));
      context.addTaskCompletionListener((TaskCompletionListener) ended -> close(model));
      return new EmbeddedRows(rows, model, column, batchSize);
    }

    private static void close(Model model) {
      try {
        model.close();
      } catch (IOException e) {
        throw new UncheckedIOException(message("Cannot close the model because of %s", e), e);
      }
    }
  }

  /** Reads a batch ahead, so that memory holds one batch of rows. */
  private static final class EmbeddedRows implements Iterator<Row> {
    private final Iterator<Row> rows;
    private final Model model;
    private final int column;
    private final int batchSize;
    private Iterator<Row> embedded = List.<Row>of().iterator();

    EmbeddedRows(Iterator<Row> rows, Model model, int column, int batchSize) {
      this.rows = rows;
      this.model = model;
      this.column = column;
      this.batchSize = batchSize;
    }

    @Override
    public boolean hasNext() {
      return embedded.hasNext() || rows.hasNext();
    }

    @Override
    public Row next() {
      if (!embedded.hasNext()) {
        if (!rows.hasNext()) {
          throw new NoSuchElementException("There are no more rows.");
        }
        embedded = nextBatch().iterator();
      }
      return embedded.next();
    }

    private List<Row> nextBatch() {
      List<Row> batch = new ArrayList<>(batchSize);
      List<Object> values = new ArrayList<>(batchSize);
      while (rows.hasNext() && batch.size() < batchSize) {
        Row row = rows.next();
        batch.add(row);
        if (!row.isNullAt(column)) {
          values.add(row.get(column));
        }
      }
      Iterator<float[]> embeddings =
          values.isEmpty() ? List.<float[]>of().iterator() : model.embed(values).iterator();
      return batch.stream()
          .map(row -> append(row, row.isNullAt(column) ? null : embeddings.next()))
          .toList();
    }

    private static Row append(Row row, float[] embedding) {
      Object[] values = new Object[row.length() + 1];
      for (int i = 0; i < row.length(); i++) {
        values[i] = row.get(i);
      }
      values[row.length()] = embedding == null ? null : vector(embedding);
      return RowFactory.create(values);
    }

    private static org.apache.spark.ml.linalg.Vector vector(float[] embedding) {
      double[] values = new double[embedding.length];
      for (int i = 0; i < values.length; i++) {
        values[i] = embedding[i];
      }
      return Vectors.dense(values);
    }
  }
}
