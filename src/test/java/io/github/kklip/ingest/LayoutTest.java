package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.sources.SourceFiles;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import org.junit.jupiter.api.Test;

class LayoutTest {
  @Test
  void shardsOfASplitAreAsFewAndAsEqualAsCanBe() {
    assertThat(Layout.starts(List.of(10L, 3L, 0L), 4)).containsExactly(0, 3, 6, 10);
    assertThat(Layout.starts(List.of(4L, 0L, 0L), 4)).containsExactly(0);
    assertThat(Layout.starts(List.of(0L, 5L, 0L), 4)).containsExactly(0, 2);
    assertThat(Layout.starts(List.of(2L, 5L, 6L), 4)).containsExactly(0, 2, 4, 7, 10);
    assertThat(Layout.starts(List.of(0L, 0L, 0L), 4)).isEmpty();
  }

  @Test
  void keysGoToTheShardWhoseRangeTheyAreIn() {
    Layout layout = new Layout(List.of("t2", "t5", "v1", "x4"));

    assertThat(List.of(layout.part("t2"), layout.part("t4"), layout.part("t5"), layout.part("v0")))
        .containsExactly(0, 0, 1, 1);
    assertThat(List.of(layout.part("v1"), layout.part("v9"), layout.part("t0")))
        .containsExactly(2, 2, 0);
    assertThat(layout.split(1)).isEqualTo(Split.TRAIN);
    assertThat(layout.split(2)).isEqualTo(Split.VALIDATION);
    assertThat(layout.split(3)).isEqualTo(Split.TEST);
    assertThat(List.of(layout.part("x0"), layout.part("x4"), layout.part("x9")))
        .containsExactly(2, 3, 3);
    assertThat(layout.indices(List.of(new Shard(Split.TRAIN, 0, 1, ""))))
        .containsExactly(1, 2, 0, 0);
    assertThat(new Layout(List.of()).parts()).isEqualTo(1);
  }

  @Test
  void theSplitHasItsShareAndIgnoresTheSeed() {
    int validation = 0;
    for (int i = 0; i < 10_000; i++) {
      String id = Identity.ofPair("", "image " + i);
      validation += Layout.split(id, 0.1) == Split.VALIDATION ? 1 : 0;
      assertThat(Layout.split(id, 0)).isEqualTo(Split.TRAIN);
      if (Layout.split(id, 0.05) == Split.VALIDATION) {
        assertThat(Layout.split(id, 0.1)).isEqualTo(Split.VALIDATION);
      }
    }
    // Binomial: 1,000 with standard deviation 30.
    assertThat(validation).isBetween(880, 1120);
  }

  @Test
  void rowKeysDependOnTheSeedAndSortTrainFirst() {
    Pair pair = pair("image", "x");
    assertThat(Layout.rowKey(Split.TRAIN, pair, 1))
        .hasSize(Layout.ROW_KEY_LENGTH)
        .isNotEqualTo(Layout.rowKey(Split.TRAIN, pair, 2))
        .isLessThan(Layout.rowKey(Split.VALIDATION, pair, 1));
    assertThat(Layout.rowKey(Split.VALIDATION, pair, 1))
        .isLessThan(Layout.rowKey(Split.TEST, pair, 1));
    for (Split split : Split.values()) {
      assertThat(Layout.split(Layout.rowKey(split, pair, 1))).isEqualTo(split);
    }
  }

  @Test
  void captionsOfAnImageFollowEachOther() {
    List<Pair> pairs = new ArrayList<>();
    for (int i = 0; i < 300; i++) {
      pairs.add(pair("image " + i % 100, "caption " + i));
    }
    List<String> images =
        pairs.stream()
            .sorted(Comparator.comparing(pair -> Layout.rowKey(Split.TRAIN, pair, 1)))
            .map(Pair::imageId)
            .toList();
    int runs = 1;
    for (int i = 1; i < images.size(); i++) {
      runs += images.get(i).equals(images.get(i - 1)) ? 0 : 1;
    }
    assertThat(runs).isEqualTo(100);
  }

  private static Pair pair(String image, String caption) {
    String imageId = Identity.ofImage(image.getBytes(StandardCharsets.UTF_8));
    return new Pair(
        Identity.ofPair(imageId, caption), imageId, caption, new byte[0], 8, 8, "a.tar");
  }

  @Test
  void knownIdsAreThoseThatWereGiven() {
    List<String> ids = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      ids.add(Identity.ofPair("", "known " + i));
    }
    KnownIds known =
        new KnownIds(
            List.of(KnownIds.pack(ids.subList(0, 300)), KnownIds.pack(ids.subList(300, 1000))));

    assertThat(ids).allMatch(known::contains);
    for (int i = 0; i < 1000; i++) {
      assertThat(known.contains(Identity.ofPair("", "other " + i))).isFalse();
    }
    assertThat(new KnownIds(List.of()).contains(ids.get(0))).isFalse();
  }

  @Test
  void rangesOfNumbersBecomeAlternatives() {
    assertThat(SourceFiles.ranges("s3a://b/{08..11}/x-{0..1}.tar"))
        .isEqualTo("s3a://b/{08,09,10,11}/x-{0,1}.tar");
    assertThatThrownBy(() -> SourceFiles.ranges("{9..1}.tar"))
        .isInstanceOf(SettingsException.class)
        .hasMessageContaining("{9..1} is no range");
  }
}
