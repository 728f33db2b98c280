package io.github.kklip.concept;

import io.github.kklip.config.ConceptSettings.KMeansMetric;
import io.github.kklip.config.Seeds;
import io.github.kklip.config.TeacherSettings.Postprocess;
import io.github.kklip.kmeans.Centres;
import io.github.kklip.kmeans.VectorBlock;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Postprocessing;
import io.github.kklip.store.Shard;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.Vector;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.VectorFormat;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.SortedMap;
import org.apache.hadoop.fs.Path;

/**
 * The teacher's embeddings of a dataset, shard by shard, as blocks of rows.
 *
 * <p>Embeddings that are not centred lie far from the origin, where the float32 product of {@link
 * Distances} loses the distances; so rows are moved by the training mean, and centres with them.
 * Moving all points changes no distance.
 *
 * @param files for the identity of each pair shard the file of its embeddings
 * @param made digest of what they were made with
 * @param unitLength whether rows are scaled to length 1, for the cosine metric
 * @param origin what is subtracted from every row
 */
record VectorSource(
    PortableConfiguration configuration,
    String root,
    SortedMap<String, String> files,
    String made,
    Postprocessing postprocessing,
    boolean unitLength,
    float[] origin)
    implements Serializable {

  static VectorSource of(
      DatasetFolder folder,
      TeacherManifest manifest,
      Postprocess postprocess,
      KMeansMetric metric) {
    boolean unitLength = metric == KMeansMetric.COSINE;
    Postprocessing postprocessing = Postprocessing.of(postprocess, manifest);
    float[] origin = new float[manifest.dimension()];
    if (postprocess == Postprocess.NONE && !unitLength) {
      for (int i = 0; i < origin.length; i++) {
        origin[i] = (float) postprocessing.mean()[i];
      }
    }
    return new VectorSource(
        new PortableConfiguration(folder.configuration()),
        folder.root().toString(),
        manifest.files(),
        manifest.settings().digest(),
        postprocessing,
        unitLength,
        origin);
  }

  DatasetFolder folder() {
    return new DatasetFolder(new Path(root), configuration.get());
  }

  /** Rows of a shard with their ids. */
  record Chunk(List<String> ids, VectorBlock block) {}

  /** Something that is done with a shard's rows, block by block. */
  interface VectorVisitor {
    void visit(Chunk chunk) throws IOException;
  }

  ShardReader<Vector> open(Shard shard) throws IOException {
    DatasetFolder folder = folder();
    return ShardReader.open(
        folder.configuration(),
        folder.file(files.get(shard.identity())),
        VectorFormat.AS_STORED,
        shard,
        made);
  }

  /** Reads a shard in blocks of {@link VectorBlock#ROWS} rows. */
  void visit(ShardReader<Vector> reader, Shard shard, VectorVisitor visitor) throws IOException {
    int first = 0;
    List<Vector> waiting = new ArrayList<>();
    for (int group = 0; group < reader.rowGroups(); group++) {
      for (Vector vector : reader.readGroup(group)) {
        waiting.add(vector);
        if (waiting.size() == VectorBlock.ROWS) {
          visitor.visit(chunk(shard.index(), first, waiting));
          first += waiting.size();
          waiting.clear();
        }
      }
    }
    if (!waiting.isEmpty()) {
      visitor.visit(chunk(shard.index(), first, waiting));
    }
  }

  private Chunk chunk(int shard, int first, List<Vector> rows) {
    int dimension = origin.length;
    List<String> ids = new ArrayList<>(rows.size());
    long[] keys = new long[rows.size()];
    float[] values = new float[rows.size() * dimension];
    for (int row = 0; row < keys.length; row++) {
      Vector vector = rows.get(row);
      ids.add(vector.id());
      keys[row] = Seeds.hash(vector.id());
      float[] embedding = vector.values();
      postprocessing.apply(embedding);
      if (unitLength) {
        Centres.toUnitLength(embedding, 0, dimension);
      }
      for (int j = 0; j < dimension; j++) {
        values[row * dimension + j] = embedding[j] - origin[j];
      }
    }
    return new Chunk(ids, new VectorBlock(shard, first, keys, values));
  }

  /** The blocks of one shard. */
  List<VectorBlock> blocks(Shard shard) throws IOException {
    List<VectorBlock> blocks = new ArrayList<>();
    try (ShardReader<Vector> reader = open(shard)) {
      visit(reader, shard, chunk -> blocks.add(chunk.block()));
    }
    return blocks;
  }
}
