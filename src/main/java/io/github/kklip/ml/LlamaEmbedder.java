package io.github.kklip.ml;

import io.github.kklip.config.Keyword;
import io.github.kklip.config.Settings;
import io.github.kklip.config.TeacherSettings;
import io.github.kklip.store.publication.LocalCopy;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.tasks.TaskPlace;
import io.github.kklip.teacher.CaptionEmbedder;
import io.github.kklip.teacher.SharedEmbedder;
import io.github.kklip.teacher.TeacherFolder;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.ml.param.IntParam;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.param.ParamValidators;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;

/**
 * Embeds captions with the teacher, a Llama in a Hugging Face folder: the raw pooled hidden states
 * that the job {@code embed} writes. One teacher is open in an executor, whatever the number of its
 * tasks.
 *
 * <pre>{@code
 * new LlamaEmbedder().setTeacher("/models/Llama-2-7b-hf").setDtype("bfloat16").setInputCol("caption")
 * }</pre>
 */
public final class LlamaEmbedder extends EmbeddingTransformer<LlamaEmbedder> {
  private static final long serialVersionUID = 1L;

  private final Param<String> teacher =
      new Param<>(this, "teacher", "Hugging Face folder of a Llama, with its tokenizer");
  private final Param<String> dtype =
      new Param<>(this, "dtype", "float32, bfloat16, or on a GPU float16");
  private final Param<String> pooling = new Param<>(this, "pooling", "mean, mean-bos or last");
  private final IntParam layer =
      new IntParam(this, "layer", "hidden state to pool; negative ones count from the last, -1");
  private final IntParam maxLength =
      new IntParam(this, "maxLength", "tokens of a caption at most", ParamValidators.gtEq(2));

  public LlamaEmbedder() {
    this(Identifiable$.MODULE$.randomUID("llamaEmbedder"));
  }

  /** For {@link #read}. */
  public LlamaEmbedder(String uid) {
    super(uid);
    TeacherSettings defaults = Settings.load(List.of(), List.of()).teacher();
    setDefault(dtype, Keyword.of(defaults.dtype()));
    setDefault(pooling, Keyword.of(defaults.pooling()));
    setDefault(layer, defaults.layer());
    setDefault(maxLength, defaults.input().maxLength());
    setDefault(batchSize(), 1024);
  }

  /** Reads what {@code write().save(path)} wrote. */
  public static MLReader<LlamaEmbedder> read() {
    return new DefaultParamsReader<>();
  }

  public static LlamaEmbedder load(String path) {
    return read().load(path);
  }

  public Param<String> teacher() {
    return teacher;
  }

  public Param<String> dtype() {
    return dtype;
  }

  public Param<String> pooling() {
    return pooling;
  }

  public IntParam layer() {
    return layer;
  }

  public IntParam maxLength() {
    return maxLength;
  }

  public LlamaEmbedder setTeacher(String value) {
    set(teacher, value);
    return this;
  }

  public LlamaEmbedder setDtype(String value) {
    set(dtype, value);
    return this;
  }

  public LlamaEmbedder setPooling(String value) {
    set(pooling, value);
    return this;
  }

  public LlamaEmbedder setLayer(int value) {
    set(layer, value);
    return this;
  }

  public LlamaEmbedder setMaxLength(int value) {
    set(maxLength, value);
    return this;
  }

  @Override
  LlamaEmbedder self() {
    return this;
  }

  @Override
  Set<DataType> inputTypes() {
    return Set.of(DataTypes.StringType);
  }

  /** The same checks as those of the job, before any task starts. */
  @Override
  Source source(Dataset<?> dataset, DataType input) {
    TeacherSettings settings =
        Settings.load(
                List.of(),
                List.of(
                    "teacher.path=" + $(teacher),
                    "teacher.dtype=" + $(dtype),
                    "teacher.pooling=" + $(pooling),
                    "teacher.layer=" + $(layer),
                    "teacher.max-length=" + $(maxLength)))
            .teacher();
    Configuration hadoop = dataset.sparkSession().sparkContext().hadoopConfiguration();
    String identity;
    try (LocalCopy small = LocalCopy.of(hadoop, settings.path(), TeacherFolder::isSmall)) {
      var unused = CaptionEmbedder.check(small.path(), settings);
      identity = TeacherFolder.identity(hadoop, settings.path());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    PortableConfiguration configuration = new PortableConfiguration(hadoop);
    return place -> Teacher.open(configuration, settings, identity, place);
  }

  private record Teacher(SharedEmbedder shared) implements Model {
    static Teacher open(
        PortableConfiguration configuration,
        TeacherSettings settings,
        String identity,
        TaskPlace place)
        throws IOException {
      Torch.start(place.threads());
      return new Teacher(
          SharedEmbedder.acquire(configuration.get(), settings, identity, place.device()));
    }

    @Override
    public List<float[]> embed(List<Object> values) {
      return shared.embedder().embed(values.stream().map(String.class::cast).toList());
    }

    @Override
    public void close() {
      shared.close();
    }
  }
}
