package io.github.kklip.image;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Base64;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ThumbnailTest {
  private static final String START = "data:image/jpeg;base64,";

  @ParameterizedTest
  @CsvSource({"300, 100, 60, 20", "100, 300, 20, 60", "40, 30, 40, 30", "5000, 1, 60, 1"})
  void fitsIntoTheSideAndKeepsTheAspect(int width, int height, int smallWidth, int smallHeight)
      throws Exception {
    RgbImage small = decoded(Thumbnail.dataUri(Golden.pattern(width, height), 60));

    assertThat(small.width()).isEqualTo(smallWidth);
    assertThat(small.height()).isEqualTo(smallHeight);
  }

  @Test
  void showsTheSamePicture() throws Exception {
    byte[] rgb = new byte[3 * 200 * 200];
    for (int i = 0; i < rgb.length; i += 3) {
      rgb[i] = (byte) (i % 600 < 300 ? 250 : 10);
      rgb[i + 1] = (byte) (i < rgb.length / 2 ? 250 : 10);
      rgb[i + 2] = 120;
    }

    RgbImage small = decoded(Thumbnail.dataUri(new RgbImage(200, 200, rgb), 64));

    assertThat(
            Golden.difference(
                Golden.means(small, 2), "250,250,120,10,250,120,250,10,120,10,10,120"))
        .isLessThan(6);
  }

  private static RgbImage decoded(String uri) throws ImageRejectedException {
    assertThat(uri).startsWith(START);
    return ImageDecoder.decode(Base64.getDecoder().decode(uri.substring(START.length())));
  }
}
