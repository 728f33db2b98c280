package io.github.kklip.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowable;

import io.github.kklip.SharedData;
import java.nio.FloatBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Files that nobody here made, against what Pillow makes of them. */
class RealImagesTest {

  /** Images that Pillow opens and that are rejected here, with the reason of each. */
  private static final Map<String, String> REJECTED_HERE_ONLY =
      Map.of(
          // Signed 16-bit samples.
          "pil__16bit.s.tif", ImageRejectedException.UNDECODABLE,
          // Lossless JPEG.
          "tm__8_ls.jpg", ImageRejectedException.UNSUPPORTED,
          "tm__testimg_rgb.jpg", ImageRejectedException.UNSUPPORTED);

  /** Images that Pillow refuses and that are decoded here. */
  private static final Set<String> DECODED_HERE_ONLY =
      Set.of(
          // A palette of more than 256 entries, bit fields of any width, a PNG within a BMP.
          "pil__bmp_q_pal8oversizepal.bmp",
          "pil__bmp_q_rgb16-231.bmp",
          "pil__bmp_q_rgb24png.bmp",
          "pil__bmp_q_rgb32-111110.bmp",
          "pil__bmp_q_rgba16-4444.bmp",
          // Fuzzed: whole strips of nonsense, which the reader skips where libtiff stops.
          "pil__crash-0da013a13571cc8eb457a39fee8db18f8a3c7127.tif",
          "pil__crash-74d2a78403a5a59db1fb0a2b8735ac068a75f6e3.tif",
          // An empty JFIF segment.
          "tm__jfif-bogus-empty-jfif-segment.jpg");

  /**
   * Images of which a block's mean differs by more than 1.5 levels, in WebP 4. In Pillow, 16-bit
   * grey loses its transparent level, and CIE Lab has another white point. The rest is lossy WebP:
   * the reader's arithmetic departs from the reference decoder's; they look right.
   */
  private static final Set<String> DIFFERENT =
      Set.of(
          "pil__i_trns.png",
          "pil__lab-red.tif",
          "tm__3_webp_a.webp",
          "tm__alpha_filter.webp",
          "tm__bug3.webp",
          "tm__segment01.webp",
          "tm__segment03.webp",
          "tm__small_31x13.webp");

  /** As in image_golden.py. */
  private static final int SAMPLE = 97;

  @Test
  void photographsComeOutAsPillowMakesThem() throws Exception {
    Path folder = SharedData.path("flickr-sizes").resolve("images");
    Preprocess preprocess = new Preprocess(Preprocessing.clip(224));
    FloatBuffer out = FloatBuffer.allocate(preprocess.length());
    long samples = 0;
    long sum = 0;
    long far = 0;
    for (String[] row : Golden.rows("flickr.tsv")) {
      byte[] bytes = Files.readAllBytes(folder.resolve(row[0]));
      RgbImage image = ImageDecoder.decode(bytes);

      preprocess.apply(image, out, 0);

      assertThat(image.width() + " x " + image.height()).isEqualTo(row[1] + " x " + row[2]);
      byte[] rgb = levels(out).rgb();
      assertThat(Golden.difference(Golden.means(levels(out), 8), row[3]))
          .as(row[0])
          .isLessThan(0.15);
      byte[] expected = Base64.getDecoder().decode(row[4]);
      for (int i = 0; i < expected.length; i++, samples++) {
        int off = Math.abs((rgb[i * SAMPLE] & 0xFF) - (expected[i] & 0xFF));
        sum += off;
        far += off > 2 ? 1 : 0;
      }
    }
    assertThat(samples).isGreaterThan(30_000);
    assertThat((double) sum / samples).as("mean distance in levels").isLessThan(0.5);
    assertThat((double) far / samples).as("share further than 2 levels").isLessThan(0.001);
  }

  @Test
  void everyOddImageIsDecodedOrRejectedWithAReason() throws Exception {
    Path folder = SharedData.path("odd-images").resolve("files");
    Set<String> rejectedHereOnly = new TreeSet<>();
    Set<String> decodedHereOnly = new TreeSet<>();
    Map<String, String> different = new TreeMap<>();
    for (String[] row : Golden.rows("odd.tsv")) {
      byte[] bytes = Files.readAllBytes(folder.resolve(row[0]));
      boolean pillowDecodes = !row[1].equals("0");
      try {
        RgbImage image = ImageDecoder.decode(bytes);
        ImageHeader header = ImageDecoder.probe(bytes);
        assertThat(header.width() + " x " + header.height())
            .as(row[0])
            .isEqualTo(image.width() + " x " + image.height());
        if (!pillowDecodes) {
          decodedHereOnly.add(row[0]);
        } else if (!row[1].equals("" + image.width()) || !row[2].equals("" + image.height())) {
          different.put(row[0], image.width() + " x " + image.height());
        } else {
          double difference = Golden.difference(Golden.means(image, 4), row[3]);
          if (difference > (header.format() == ImageFormat.WEBP ? 4 : 1.5)) {
            different.put(row[0], "differs by " + difference);
          }
        }
      } catch (ImageRejectedException reject) {
        assertThat(reject.reason()).as(row[0]).startsWith("image-");
        if (pillowDecodes) {
          rejectedHereOnly.add(row[0]);
          assertThat(reject.reason()).as(row[0]).isEqualTo(REJECTED_HERE_ONLY.get(row[0]));
        }
      }
    }
    assertThat(rejectedHereOnly).isEqualTo(REJECTED_HERE_ONLY.keySet());
    assertThat(decodedHereOnly).isEqualTo(DECODED_HERE_ONLY);
    assertThat(different).containsOnlyKeys(DIFFERENT);
  }

  /** Every whole image, cut in its data, is a reject: not half an image. */
  @Test
  void cutPhotographsAreRejected() throws Exception {
    Path folder = SharedData.path("flickr-sizes").resolve("images");
    List<Path> files;
    try (Stream<Path> all = Files.list(folder)) {
      files = all.sorted().limit(20).toList();
    }
    for (Path file : files) {
      byte[] bytes = Files.readAllBytes(file);
      for (int percent : new int[] {30, 70, 95}) {
        byte[] cut = Arrays.copyOf(bytes, bytes.length * percent / 100);
        assertThat(catchThrowable(() -> ImageDecoder.decode(cut)))
            .as("%s at %d %%", file.getFileName(), percent)
            .isInstanceOfSatisfying(
                ImageRejectedException.class,
                reject -> assertThat(reject.reason()).isEqualTo(ImageRejectedException.TRUNCATED));
      }
    }
  }

  private static RgbImage levels(FloatBuffer planes) {
    int pixels = planes.capacity() / 3;
    byte[] rgb = new byte[3 * pixels];
    for (int i = 0; i < pixels; i++) {
      for (int c = 0; c < 3; c++) {
        double value =
            planes.get(c * pixels + i) * Preprocessing.CLIP_STD.get(c)
                + Preprocessing.CLIP_MEAN.get(c);
        rgb[3 * i + c] = (byte) Math.round(value * 255);
      }
    }
    int side = (int) Math.round(Math.sqrt(pixels));
    return new RgbImage(side, side, rgb);
  }
}
