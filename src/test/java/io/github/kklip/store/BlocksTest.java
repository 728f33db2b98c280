package io.github.kklip.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.store.publication.Json;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class BlocksTest {
  @Test
  void sizesAreTakenTogetherUpToABound() {
    assertThat(Blocks.together(List.of(64, 3, 1, 60, 1, 64), 64)).containsExactly(64, 64, 1, 64);
    assertThat(Blocks.together(List.of(), 64)).isEmpty();
    assertThat(Blocks.together(List.of(70, 2), 64)).containsExactly(70, 2);
  }

  @Test
  void sizesComeBack() {
    List<Integer> sizes = List.of(64, 64, 64, 57, 3, 3, 1);
    String text = Blocks.write(sizes);
    assertThat(text).isEqualTo("64x3 57 3x2 1");
    assertThat(Blocks.read(text, 256)).isEqualTo(sizes);
  }

  @Test
  void withoutSizesBlocksAreFull() {
    assertThat(Blocks.read("", 130)).containsExactly(64, 64, 2);
    assertThat(Blocks.read("", 0)).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "65",
        "0",
        "-1",
        "64x",
        "x3",
        "64x0",
        "64x2147483647",
        "a",
        "64  64",
        "64",
        "64x3"
      })
  void whatIsNoSizesOfAllRowsIsRefused(String text) {
    assertThatThrownBy(() -> Blocks.read(text, 128))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("Cannot use the blocks " + text);
  }

  @Test
  void aShardOfFormatOneSaysWhereItIs() {
    Shard shard =
        Json.parse(
            "{\"split\":\"train\",\"index\":7,\"rows\":70,\"identity\":\"ab\"}", Shard.class);
    assertThat(shard.file()).isEqualTo("pairs/train-00007.parquet");
    assertThat(shard.blockRows()).containsExactly(64, 6);
    assertThat(Json.parse(Json.line(shard), Shard.class)).isEqualTo(shard);
  }

  @Test
  void aShardWithoutRowsOrWithAnUnknownFieldIsRefused() {
    for (String text :
        List.of(
            "{\"split\":\"train\",\"index\":7,\"identity\":\"ab\"}",
            "{\"split\":\"train\",\"index\":7,\"rows\":70,\"identity\":\"ab\",\"more\":1}")) {
      assertThatThrownBy(() -> Json.parse(text, Shard.class))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }
}
