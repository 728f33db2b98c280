package io.github.kklip.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.FloatBuffer;
import java.util.Arrays;
import org.junit.jupiter.api.Test;

class PreprocessTest {

  @Test
  void isBitForBitWhatTransformersMakesWithPillow() throws Exception {
    for (String[] row : Golden.rows("preprocess.tsv")) {
      Preprocess preprocess = new Preprocess(Preprocessing.clip(Integer.parseInt(row[0])));
      FloatBuffer out = FloatBuffer.allocate(preprocess.length());

      preprocess.apply(Golden.pattern(Integer.parseInt(row[1]), Integer.parseInt(row[2])), out, 0);

      assertThat(Golden.digest(out)).as("%s: %s x %s", row[0], row[1], row[2]).isEqualTo(row[3]);
    }
  }

  @Test
  void resizedCropIsBitForBitThatOfTorchvision() throws Exception {
    Preprocess preprocess = new Preprocess(Preprocessing.clip(64));
    for (String[] row : Golden.rows("crop.tsv")) {
      int[] n = Arrays.stream(row).limit(6).mapToInt(Integer::parseInt).toArray();
      FloatBuffer out = FloatBuffer.allocate(preprocess.length());

      preprocess.apply(Golden.pattern(n[0], n[1]), new CropBox(n[2], n[3], n[4], n[5]), out, 0);

      assertThat(Golden.digest(out)).as(String.join(" ", row)).isEqualTo(row[6]);
    }
  }

  /** (v / 255 - mean) / std by hand: white is (1 - 0.48145466) / 0.26862954 = 1.93034 in red. */
  @Test
  void oneColourStaysThatColour() {
    byte[] rgb = new byte[3 * 50 * 40];
    for (int i = 0; i < rgb.length; i += 3) {
      rgb[i] = (byte) 255;
      rgb[i + 2] = 51;
    }
    Preprocess preprocess = new Preprocess(Preprocessing.clip(8));
    FloatBuffer out = FloatBuffer.allocate(3 * 64);

    preprocess.apply(new RgbImage(50, 40, rgb), out, 0);

    for (int i = 0; i < 64; i++) {
      assertThat(out.get(i)).isCloseTo(1.93034f, within(1e-5f));
      assertThat(out.get(64 + i)).isCloseTo(-1.75210f, within(1e-5f));
      assertThat(out.get(128 + i)).isCloseTo(-0.75500f, within(1e-5f));
    }
  }

  /** Channels keep apart when negative sums meet in one accumulator: hard edges overshoot. */
  @Test
  void channelsDoNotLeakIntoEachOther() {
    RgbImage edges = Golden.pattern(97, 61);
    Preprocess preprocess = new Preprocess(Preprocessing.clip(32));
    for (int kept = 0; kept < 3; kept++) {
      byte[] one = edges.rgb().clone();
      for (int i = 0; i < one.length; i++) {
        one[i] = i % 3 == kept ? one[i] : 0;
      }
      FloatBuffer all = FloatBuffer.allocate(preprocess.length());
      FloatBuffer single = FloatBuffer.allocate(preprocess.length());

      preprocess.apply(edges, all, 0);
      preprocess.apply(new RgbImage(97, 61, one), single, 0);

      assertThat(Arrays.copyOfRange(single.array(), kept * 1024, (kept + 1) * 1024))
          .isEqualTo(Arrays.copyOfRange(all.array(), kept * 1024, (kept + 1) * 1024));
    }
  }

  @Test
  void fillsItsPlaceInABatchAndNothingElse() {
    Preprocess preprocess = new Preprocess(Preprocessing.clip(16));
    FloatBuffer alone = FloatBuffer.allocate(preprocess.length());
    FloatBuffer batch =
        ByteBuffer.allocateDirect(4 * 3 * preprocess.length())
            .order(ByteOrder.nativeOrder())
            .asFloatBuffer();

    preprocess.apply(Golden.pattern(300, 20), batch, 2 * preprocess.length());
    preprocess.apply(Golden.pattern(40, 30), alone, 0);
    preprocess.apply(Golden.pattern(40, 30), batch, preprocess.length());

    float[] all = new float[3 * preprocess.length()];
    batch.duplicate().get(all);
    assertThat(batch.position()).isZero();
    assertThat(Arrays.copyOfRange(all, 0, preprocess.length())).containsOnly(0f);
    assertThat(Arrays.copyOfRange(all, preprocess.length(), 2 * preprocess.length()))
        .isEqualTo(alone.array());
  }

  @Test
  void refusesABoxOutsideTheImage() {
    Preprocess preprocess = new Preprocess(Preprocessing.clip(4));
    FloatBuffer out = FloatBuffer.allocate(preprocess.length());

    assertThatThrownBy(
            () -> preprocess.apply(Golden.pattern(10, 10), new CropBox(5, 0, 6, 5), out, 0))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "Cannot crop an image of 10 x 10 pixels because the box is not inside it:"
                + " CropBox[left=5, top=0, width=6, height=5].");
  }
}
