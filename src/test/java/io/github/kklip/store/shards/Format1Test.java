package io.github.kklip.store.shards;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.store.Identity;
import io.github.kklip.store.Label;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Vector;
import java.io.IOException;
import java.net.URISyntaxException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.Test;

/** The files of {@code src/test/resources/format1}, which version 0.1.0 wrote. */
class Format1Test {
  private static final List<String> SHARDS =
      List.of("train-00000", "train-00001", "validation-00000");

  private static Path file(String name) {
    try {
      return new Path(Format1Test.class.getResource("/format1/" + name).toURI());
    } catch (URISyntaxException e) {
      throw new AssertionError(e);
    }
  }

  private static <T> List<T> rows(String name, RowFormat<T> format) throws IOException {
    List<T> rows = new ArrayList<>();
    try (ShardReader<T> reader = ShardReader.open(new Configuration(), file(name), format)) {
      assertThat(reader.blocks()).isEmpty();
      for (int group = 0; group < reader.rowGroups(); group++) {
        rows.addAll(reader.readGroup(group));
      }
    }
    return rows;
  }

  @Test
  void pairsAreReadWithTheirVectorsAndLabels() throws IOException {
    int count = 0;
    for (String shard : SHARDS) {
      List<Pair> pairs = rows("pairs/" + shard + ".parquet", PairFormat.ALL);
      List<Vector> vectors = rows("teachers/llama/" + shard + ".parquet", VectorFormat.AS_STORED);
      List<Label> labels = rows("concepts/concepts/" + shard + ".parquet", new LabelFormat());
      assertThat(vectors).hasSameSizeAs(pairs);
      assertThat(labels).hasSameSizeAs(pairs);
      for (int row = 0; row < pairs.size(); row++) {
        Pair pair = pairs.get(row);
        assertThat(Identity.ofImage(pair.image())).isEqualTo(pair.imageId());
        assertThat(Identity.ofPair(pair.imageId(), pair.caption())).isEqualTo(pair.id());
        assertThat(vectors.get(row).id()).isEqualTo(pair.id());
        assertThat(vectors.get(row).values()).hasSize(32).doesNotContain(Float.NaN);
        assertThat(labels.get(row).id()).isEqualTo(pair.id());
      }
      count += pairs.size();
    }
    assertThat(count).isEqualTo(48);
  }

  @Test
  void vectorsAreTheNumbersOfTheirLists() throws IOException {
    List<Vector> vectors = rows("teachers/llama/validation-00000.parquet", VectorFormat.AS_STORED);
    try (RowGroupReader reader =
        RowGroupReader.open(new Configuration(), file("teachers/llama/validation-00000.parquet"))) {
      List<float[]> lists =
          reader.read(0, reader.schema()).floatLists("embedding", "list", "element");
      assertThat(vectors.stream().map(Vector::values)).containsExactlyElementsOf(lists);
    }
  }

  @Test
  void rejectsAreRead() throws IOException {
    List<Reject> rejects = rows("rejects/00000-train-00000.parquet", new RejectFormat());
    rejects.addAll(rows("rejects/00000-train-00001.parquet", new RejectFormat()));
    assertThat(rejects).hasSize(9);
  }

  @Test
  void pairsWithoutHashesHaveNone() {
    assertThatThrownBy(() -> rows("pairs/train-00000.parquet", HashedPairFormat.IDS))
        .hasMessageContaining("because it has no perceptual hashes");
  }
}
