package io.github.kklip.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.io.IOException;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class AugmentTest {

  @Test
  void boxesLieInTheImageAndHaveTheAskedAreaAndRatio() {
    Augment augment = new Augment(0.5);
    double areas = 0;
    double left = 0;
    int boxes = 4000;
    for (long seed = 0; seed < boxes; seed++) {
      CropBox box = augment.box(400, 350, seed);

      box.checkInside(new RgbImage(400, 350, new byte[3 * 400 * 350]));
      double share = box.width() * box.height() / (400.0 * 350);
      assertThat(share).isBetween(0.49, 1.0);
      assertThat((double) box.width() / box.height()).isBetween(0.74, 1.345);
      areas += share;
      left += box.left() / (400.0 - box.width() + 1);
    }
    assertThat(areas / boxes).as("large boxes often do not fit").isBetween(0.65, 0.75);
    assertThat(left / boxes).as("uniform place").isCloseTo(0.5, within(0.02));
  }

  /** RandomResizedCrop.get_params with the numbers of the same generators: image_golden.py. */
  @Test
  void boxesAreThoseOfTorchvisionFromTheSameRandomNumbers() throws IOException {
    int compared = 0;
    for (String[] row : Golden.rows("boxes.tsv")) {
      int width = Integer.parseInt(row[0]);
      int height = Integer.parseInt(row[1]);
      Augment augment = new Augment(Double.parseDouble(row[2]));
      for (int at = 3; at < row.length; at += 4, compared++) {
        int[] box = Arrays.stream(row, at, at + 4).mapToInt(Integer::parseInt).toArray();
        assertThat(augment.box(width, height, (at - 3) / 4))
            .as("%d x %d, %s, seed %d", width, height, row[2], (at - 3) / 4)
            .isEqualTo(new CropBox(box[0], box[1], box[2], box[3]));
      }
    }
    assertThat(compared).isEqualTo(960);
  }

  @Test
  void equalSeedsGiveEqualBoxes() {
    Augment augment = new Augment(0.2);
    Set<CropBox> boxes = new HashSet<>();
    for (long seed = 0; seed < 50; seed++) {
      assertThat(augment.box(300, 300, seed)).isEqualTo(augment.box(300, 300, seed));
      boxes.add(augment.box(300, 300, seed));
    }
    assertThat(boxes).hasSizeGreaterThan(45);
  }

  /** torchvision: the widest or highest box of ratio 4/3 or 3/4 in the middle, rounded. */
  @ParameterizedTest
  @CsvSource({"1000, 30, 480, 0, 40, 30", "30, 1000, 0, 480, 30, 40", "40, 35, 0, 0, 40, 35"})
  void narrowImagesGiveTheirMiddle(
      int width, int height, int left, int top, int boxWidth, int boxHeight) {
    assertThat(Augment.centre(width, height))
        .isEqualTo(new CropBox(left, top, boxWidth, boxHeight));
  }

  @Test
  void onePixelIsABoxToo() {
    assertThat(new Augment(1).box(1, 1, 3)).isEqualTo(new CropBox(0, 0, 1, 1));
  }

  @Test
  void refusesAnEmptyShare() {
    assertThatThrownBy(() -> new Augment(0))
        .hasMessage(
            "Cannot crop to a share of 0.0 of the image. Give a number over 0 and at most 1.");
  }
}
