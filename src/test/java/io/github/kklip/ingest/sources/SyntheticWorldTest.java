package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.RgbImage;
import io.github.kklip.ingest.sources.SyntheticWorld.Scene;
import io.github.kklip.ingest.sources.SyntheticWorld.Thing;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SyntheticWorldTest {
  @TempDir Path folder;

  @Test
  void theFirstThingIsDrawnWhereTheCaptionSays() {
    // A red circle left of a blue square on white.
    Scene scene =
        new Scene(
            0, List.of(new Thing(0, 0, 1, 0.25, 0.5, 0.2), new Thing(1, 2, 1, 0.75, 0.5, 0.2)), 0);

    byte[] rgb = SyntheticWorld.draw(scene, 64);

    assertThat(pixel(rgb, 16, 32)).isEqualTo(0xD62828);
    assertThat(pixel(rgb, 48, 32)).isEqualTo(0x2456C8);
    assertThat(pixel(rgb, 32, 4)).isEqualTo(0xFFFFFF);
    List<String> captions = SyntheticWorld.captions(scene, 1, 1);
    assertThat(captions.get(0))
        .matches("a (large|big|huge) (red|crimson|scarlet) .* left.* a .* on a white background");
    assertThat(captions.get(1)).matches("there is a .* right.* a .*, the backdrop is white");
  }

  @Test
  void aSceneIsAlwaysTheSameAndAnotherIndexAnother() {
    assertThat(SyntheticWorld.scene(3, 5)).isEqualTo(SyntheticWorld.scene(3, 5));
    assertThat(SyntheticWorld.scene(3, 5)).isNotEqualTo(SyntheticWorld.scene(3, 6));
    assertThat(SyntheticWorld.scene(3, 5)).isNotEqualTo(SyntheticWorld.scene(4, 5));
    Set<String> captions = new HashSet<>();
    for (int i = 0; i < 500; i++) {
      captions.addAll(SyntheticWorld.captions(SyntheticWorld.scene(0, i), 0, i));
    }
    assertThat(captions).hasSizeGreaterThan(950);
  }

  @Test
  void everyShapeCoversItsOwnPart() {
    Set<Integer> areas = new HashSet<>();
    for (int shape = 0; shape < SyntheticWorld.SHAPES.size(); shape++) {
      Scene scene = new Scene(0, List.of(new Thing(shape, 0, 1, 0.5, 0.5, 0.4)), -1);
      byte[] rgb = SyntheticWorld.draw(scene, 64);
      int red = 0;
      for (int i = 0; i < 64 * 64; i++) {
        red += pixel(rgb, i % 64, i / 64) == 0xD62828 ? 1 : 0;
      }
      assertThat(red).as(SyntheticWorld.SHAPES.get(shape)).isBetween(500, 2200);
      areas.add(red);
    }
    assertThat(areas).hasSize(SyntheticWorld.SHAPES.size());
  }

  @Test
  void picturesSurvivePng() throws Exception {
    byte[] rgb = SyntheticWorld.draw(SyntheticWorld.scene(0, 0), 64);

    RgbImage decoded = ImageDecoder.decode(Png.encode(rgb, 64, 64));

    assertThat(decoded.rgb()).isEqualTo(rgb);
  }

  @Test
  void classFoldersHoldTheirPictures() throws IOException {
    int written =
        SyntheticClasses.write(
            new Configuration(), new org.apache.hadoop.fs.Path(folder.toUri()), 7, 2);

    assertThat(written).isEqualTo(8 * 8 * 2);
    try (Stream<Path> classes = Files.list(folder)) {
      assertThat(classes.map(path -> path.getFileName().toString()))
          .hasSize(64)
          .contains("red circle", "brown heart");
    }
    assertThat(folder.resolve("red circle")).isDirectoryContaining("glob:**1.png");
  }

  private static int pixel(byte[] rgb, int x, int y) {
    int at = 3 * (y * 64 + x);
    return (rgb[at] & 0xFF) << 16 | (rgb[at + 1] & 0xFF) << 8 | (rgb[at + 2] & 0xFF);
  }
}
