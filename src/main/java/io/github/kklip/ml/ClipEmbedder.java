package io.github.kklip.ml;

import io.github.kklip.eval.Embedder;
import io.github.kklip.eval.ModelSource;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.RgbImage;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.tasks.TaskPlace;
import io.github.kklip.text.StudentTokenizer;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.apache.spark.ml.param.Param;
import org.apache.spark.ml.util.DefaultParamsReader;
import org.apache.spark.ml.util.Identifiable$;
import org.apache.spark.ml.util.MLReader;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.types.DataType;
import org.apache.spark.sql.types.DataTypes;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Embeds captions (a column of strings) or images (a column of binary: encoded files, such as JPEG)
 * with a trained student: its projected embeddings of unit length, so that the dot product of a
 * caption's and an image's embedding is their cosine.
 *
 * <pre>{@code
 * new ClipEmbedder().setModel("s3a://bucket/runs/first").setInputCol("caption").transform(pairs)
 * }</pre>
 */
public final class ClipEmbedder extends EmbeddingTransformer<ClipEmbedder> {
  private static final long serialVersionUID = 1L;
  private static final Logger LOG = LoggerFactory.getLogger(ClipEmbedder.class);

  private final Param<String> model =
      new Param<>(
          this, "model", "folder of a run, or a Hugging Face CLIP folder with its tokenizer");

  public ClipEmbedder() {
    this(Identifiable$.MODULE$.randomUID("clipEmbedder"));
  }

  /** For {@link #read}. */
  public ClipEmbedder(String uid) {
    super(uid);
  }

  /** Reads what {@code write().save(path)} wrote. */
  public static MLReader<ClipEmbedder> read() {
    return new DefaultParamsReader<>();
  }

  public static ClipEmbedder load(String path) {
    return read().load(path);
  }

  public Param<String> model() {
    return model;
  }

  public ClipEmbedder setModel(String value) {
    set(model, value);
    return this;
  }

  @Override
  ClipEmbedder self() {
    return this;
  }

  @Override
  Set<DataType> inputTypes() {
    return Set.of(DataTypes.StringType, DataTypes.BinaryType);
  }

  @Override
  Source source(Dataset<?> dataset, DataType input) {
    PortableConfiguration configuration =
        new PortableConfiguration(dataset.sparkSession().sparkContext().hadoopConfiguration());
    String folder = $(model);
    int batch = (int) $(batchSize());
    boolean captions = input.equals(DataTypes.StringType);
    return place -> LoadedStudent.open(configuration, folder, batch, captions, place);
  }

  private record LoadedStudent(
      ModelSource files, StudentTokenizer tokenizer, Embedder embedder, boolean captions)
      implements Model {
    static LoadedStudent open(
        PortableConfiguration configuration,
        String folder,
        int batch,
        boolean captions,
        TaskPlace place)
        throws IOException {
      ModelSource files = ModelSource.open(folder, configuration.get());
      try {
        StudentTokenizer tokenizer = StudentTokenizer.load(files.folder());
        try {
          Embedder embedder = new Embedder(files.folder(), tokenizer, batch, place.threads());
          return new LoadedStudent(files, tokenizer, embedder, captions);
        } catch (IOException | RuntimeException e) {
          tokenizer.close();
          throw e;
        }
      } catch (IOException | RuntimeException e) {
        files.close();
        throw e;
      }
    }

    @Override
    public List<float[]> embed(List<Object> values) {
      return captions
          ? rows(embedder.captions(values.stream().map(String.class::cast).toList()))
          : images(values);
    }

    private List<float[]> images(List<Object> files) {
      List<RgbImage> decoded = new ArrayList<>();
      boolean[] readable = new boolean[files.size()];
      for (int i = 0; i < readable.length; i++) {
        try {
          decoded.add(ImageDecoder.decode((byte[]) files.get(i)));
          readable[i] = true;
        } catch (ImageRejectedException e) {
          LOG.warn("An image has no embedding: {}", e.getMessage());
        }
      }
      List<float[]> embedded = rows(embedder.images(decoded));
      List<float[]> all = new ArrayList<>();
      int next = 0;
      for (boolean one : readable) {
        all.add(one ? embedded.get(next++) : null);
      }
      return all;
    }

    private List<float[]> rows(float[] values) {
      List<float[]> rows = new ArrayList<>();
      int dimension = embedder.dimension();
      for (int from = 0; from < values.length; from += dimension) {
        rows.add(Arrays.copyOfRange(values, from, from + dimension));
      }
      return rows;
    }

    @Override
    public void close() throws IOException {
      embedder.close();
      tokenizer.close();
      files.close();
    }
  }
}
