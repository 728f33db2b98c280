package io.github.kklip.image;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.awt.Color;
import java.awt.image.BufferedImage;
import java.awt.image.IndexColorModel;
import java.awt.image.WritableRaster;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.SplittableRandom;
import java.util.zip.CRC32;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ImageDecoderTest {

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "tiff"})
  void keepsPixelsOfLosslessFormats(String format) throws Exception {
    BufferedImage image = new BufferedImage(5, 3, BufferedImage.TYPE_INT_RGB);
    image.setRGB(0, 0, 0xff0000);
    image.setRGB(4, 0, 0x00ff00);
    image.setRGB(2, 2, 0x0000ff);

    RgbImage decoded = ImageDecoder.decode(write(image, format));

    assertThat(decoded.width()).isEqualTo(5);
    assertThat(decoded.height()).isEqualTo(3);
    assertThat(pixel(decoded, 0, 0)).isEqualTo(0xff0000);
    assertThat(pixel(decoded, 4, 0)).isEqualTo(0x00ff00);
    assertThat(pixel(decoded, 2, 2)).isEqualTo(0x0000ff);
    assertThat(pixel(decoded, 1, 1)).isZero();
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "gif"})
  void paletteEntriesBecomeColoursAndTheTransparentOneWhite(String format) throws Exception {
    byte[] red = {0, (byte) 255, 10, 0};
    byte[] green = {0, 0, 20, 0};
    byte[] blue = {0, 0, 30, (byte) 255};
    BufferedImage image =
        new BufferedImage(
            4, 1, BufferedImage.TYPE_BYTE_INDEXED, new IndexColorModel(2, 4, red, green, blue, 0));
    for (int x = 0; x < 4; x++) {
      image.getRaster().setSample(x, 0, 0, x);
    }

    RgbImage decoded = ImageDecoder.decode(write(image, format));

    assertThat(pixel(decoded, 0, 0)).isEqualTo(0xffffff);
    assertThat(pixel(decoded, 1, 0)).isEqualTo(0xff0000);
    assertThat(pixel(decoded, 2, 0)).isEqualTo(0x0a141e);
    assertThat(pixel(decoded, 3, 0)).isEqualTo(0x0000ff);
  }

  @ParameterizedTest
  @CsvSource({
    "0000001c6674797061766966000000006d696631, image-unsupported, AVIF",
    "0000000c4a584c200d0a870a, image-unsupported, JPEG XL",
    "3c21444f43545950452068746d6c3e, image-undecodable, HTML",
    "76657273696f6e2068747470733a2f2f6769742d6c66732e6769746875622e636f6d2f737065632f7631, image-undecodable, git lfs pull",
    "2f396a2f34414151, image-undecodable, base64",
    "0102030405060708, image-undecodable, no known format",
  })
  void whatIsNotDecodedIsNamed(String hex, String reason, String named) {
    byte[] bytes = HexFormat.of().parseHex(hex);

    assertThatThrownBy(() -> ImageDecoder.decode(bytes))
        .hasMessageContaining(named)
        .extracting(e -> ((ImageRejectedException) e).reason())
        .isEqualTo(reason);
  }

  @Test
  void readsTheHeaderAlone() throws Exception {
    assertThat(ImageDecoder.probe(withOrientation(jpeg(40, 20, Color.RED), 6)))
        .isEqualTo(new ImageHeader(ImageFormat.JPEG, 20, 40, 6));
    assertThat(ImageDecoder.probe(write(noise(7, 9), "png")))
        .isEqualTo(new ImageHeader(ImageFormat.PNG, 7, 9, 1));
  }

  @Test
  void jpegColoursAreThoseThatWereStored() throws Exception {
    RgbImage decoded = ImageDecoder.decode(jpeg(16, 16, new Color(200, 100, 50)));

    assertThat(channels(pixel(decoded, 8, 8)))
        .satisfies(
            c -> {
              assertThat(c[0]).isBetween(198, 202);
              assertThat(c[1]).isBetween(98, 102);
              assertThat(c[2]).isBetween(48, 52);
            });
  }

  @Test
  void greyIsNotBrightened() throws Exception {
    BufferedImage grey = new BufferedImage(8, 8, BufferedImage.TYPE_BYTE_GRAY);
    grey.getRaster().setSample(3, 3, 0, 100);

    assertThat(pixel(ImageDecoder.decode(write(grey, "png")), 3, 3)).isEqualTo(0x646464);

    BufferedImage deep = new BufferedImage(8, 8, BufferedImage.TYPE_USHORT_GRAY);
    deep.getRaster().setSample(3, 3, 0, 100 << 8 | 77);

    assertThat(pixel(ImageDecoder.decode(write(deep, "png")), 3, 3)).isEqualTo(0x646464);
  }

  @Test
  void transparencyLiesOnWhite() throws Exception {
    BufferedImage image = new BufferedImage(3, 1, BufferedImage.TYPE_INT_ARGB);
    image.setRGB(0, 0, 0x00123456);
    image.setRGB(1, 0, 0x80000000);
    image.setRGB(2, 0, 0xff123456);

    RgbImage decoded = ImageDecoder.decode(write(image, "png"));

    assertThat(pixel(decoded, 0, 0)).isEqualTo(0xffffff);
    assertThat(pixel(decoded, 1, 0)).as("255 - 128").isEqualTo(0x7f7f7f);
    assertThat(pixel(decoded, 2, 0)).isEqualTo(0x123456);
  }

  /** The stored picture is red at the left and blue at the right, on top of black. */
  @ParameterizedTest
  @CsvSource({
    "1, 48, 32, 2, 2, 45, 2",
    "2, 48, 32, 45, 2, 2, 2",
    "3, 48, 32, 45, 29, 2, 29",
    "4, 48, 32, 2, 29, 45, 29",
    "5, 32, 48, 2, 2, 2, 45",
    "6, 32, 48, 29, 2, 29, 45",
    "7, 32, 48, 29, 45, 29, 2",
    "8, 32, 48, 2, 45, 2, 2"
  })
  void exifOrientationIsApplied(
      int orientation, int width, int height, int redX, int redY, int blueX, int blueY)
      throws Exception {
    BufferedImage stored = new BufferedImage(48, 32, BufferedImage.TYPE_INT_RGB);
    var graphics = stored.createGraphics();
    graphics.setColor(Color.RED);
    graphics.fillRect(0, 0, 16, 16);
    graphics.setColor(Color.BLUE);
    graphics.fillRect(32, 0, 16, 16);
    graphics.dispose();

    RgbImage decoded = ImageDecoder.decode(withOrientation(write(stored, "jpg"), orientation));

    assertThat(decoded.width()).isEqualTo(width);
    assertThat(decoded.height()).isEqualTo(height);
    assertThat(channels(pixel(decoded, redX, redY))[0]).isGreaterThan(200);
    assertThat(channels(pixel(decoded, blueX, blueY))[2]).isGreaterThan(200);
    assertThat(pixel(decoded, width / 2, height / 2) & 0xff).isLessThan(60);
  }

  @Test
  void brokenProfilesDoNotMatter() throws Exception {
    byte[] jpeg = jpeg(24, 24, Color.GREEN);
    byte[] profile = segment(0xe2, "ICC_PROFILE\0\1\1nonsense".getBytes(StandardCharsets.US_ASCII));

    assertThat(ImageDecoder.decode(insert(jpeg, profile)))
        .usingRecursiveComparison()
        .isEqualTo(ImageDecoder.decode(jpeg));
  }

  @Test
  void bombIsRejectedByItsHeader() {
    byte[] bomb = pngHeader(40_000, 40_000);

    assertThatThrownBy(() -> ImageDecoder.decode(bomb))
        .isInstanceOf(ImageRejectedException.class)
        .hasMessage(
            "Cannot decode an image (image-too-large) because 40000 x 40000 pixels are more than"
                + " the limit of 89478485.");
  }

  @Test
  void limitIsInclusive() throws Exception {
    byte[] png = write(noise(10, 10), "png");

    assertThat(ImageDecoder.decode(png, 100).width()).isEqualTo(10);
    assertThat(reason(png, 99)).isEqualTo(ImageRejectedException.TOO_LARGE);
  }

  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "tiff", "gif", "jpg"})
  void halfAnImageIsNone(String format) throws Exception {
    byte[] whole = write(noise(64, 64), format);
    for (int percent = 5; percent < 95; percent += 15) {
      byte[] cut = Arrays.copyOf(whole, whole.length * percent / 100);

      assertThat(reason(cut, 1 << 20))
          .as("%s cut to %d %%", format, percent)
          .isIn(ImageRejectedException.TRUNCATED, ImageRejectedException.UNDECODABLE);
    }
  }

  @Test
  void jpegCutInItsDataIsTruncatedEvenWithAnEndMarker() throws Exception {
    byte[] whole = write(noise(64, 64), "jpg");
    byte[] cut = Arrays.copyOf(whole, whole.length * 2 / 3);
    cut[cut.length - 2] = (byte) 0xff;
    cut[cut.length - 1] = (byte) 0xd9;

    assertThat(reason(cut, 1 << 20)).isEqualTo(ImageRejectedException.TRUNCATED);
  }

  @Test
  void whatIsNoImageIsRejected() {
    for (byte[] bytes :
        List.of(
            new byte[0],
            new byte[] {1},
            "<html>404</html>".getBytes(StandardCharsets.US_ASCII),
            new byte[] {(byte) 0xff, (byte) 0xd8, (byte) 0xff},
            "GIF89a".getBytes(StandardCharsets.US_ASCII),
            "BM".getBytes(StandardCharsets.US_ASCII),
            "II*\0".getBytes(StandardCharsets.US_ASCII),
            "RIFF1234WEBP".getBytes(StandardCharsets.US_ASCII))) {
      assertThat(reason(bytes, 1000)).startsWith("image-");
      assertThatThrownBy(() -> ImageDecoder.probe(bytes))
          .isInstanceOf(ImageRejectedException.class);
    }
  }

  /** Any byte may be wrong; the result is an image of the right size or a reject, nothing else. */
  @ParameterizedTest
  @ValueSource(strings = {"png", "bmp", "tiff", "gif", "jpg"})
  void brokenBytesNeverEscape(String format) throws Exception {
    byte[] whole = write(noise(24, 24), format);
    SplittableRandom random = new SplittableRandom(format.hashCode());
    int rejects = 0;
    for (int i = 0; i < 300; i++) {
      byte[] broken = whole.clone();
      for (int j = 0; j < 1 + i % 3; j++) {
        broken[random.nextInt(i % 2 == 0 ? broken.length : Math.min(80, broken.length))] =
            (byte) random.nextInt(256);
      }
      try {
        RgbImage decoded = ImageDecoder.decode(broken, 1 << 20);
        assertThat(decoded.rgb()).hasSize(3 * decoded.width() * decoded.height());
      } catch (ImageRejectedException reject) {
        rejects++;
        assertThat(reject.reason()).startsWith("image-");
        assertThat(reject.detail()).isNotBlank();
      }
    }
    assertThat(rejects).isPositive();
  }

  @Test
  void smallFrameLiesOnItsGifScreen() throws Exception {
    byte[] gif = write(noise(4, 4), "gif");
    ByteBuffer.wrap(gif)
        .order(java.nio.ByteOrder.LITTLE_ENDIAN)
        .putShort(6, (short) 10)
        .putShort(8, (short) 6);

    RgbImage decoded = ImageDecoder.decode(gif);

    assertThat(decoded.width()).isEqualTo(10);
    assertThat(decoded.height()).isEqualTo(6);
    assertThat(pixel(decoded, 9, 5)).isEqualTo(0xffffff);
  }

  /** As on a Spark executor: our jar below the class loader that Java's services ask. */
  @Test
  void findsItsReadersFromAChildClassLoader() throws Exception {
    List<URL> urls = new ArrayList<>();
    for (String oneOfEachJar :
        List.of(
            "io.github.kklip.image.ImageDecoder",
            "com.twelvemonkeys.imageio.plugins.tiff.TIFFImageReaderSpi",
            "com.twelvemonkeys.imageio.plugins.webp.WebPImageReaderSpi",
            "com.twelvemonkeys.imageio.metadata.Directory",
            "com.twelvemonkeys.imageio.ImageReaderBase",
            "com.twelvemonkeys.image.ImageUtil",
            "com.twelvemonkeys.io.FileUtil",
            "com.twelvemonkeys.lang.StringUtil")) {
      urls.add(Class.forName(oneOfEachJar).getProtectionDomain().getCodeSource().getLocation());
    }
    byte[] tiff = write(noise(6, 5), "tiff");
    ClassLoader before = Thread.currentThread().getContextClassLoader();
    try (URLClassLoader child =
        new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
      Thread.currentThread().setContextClassLoader(ClassLoader.getPlatformClassLoader());
      Class<?> decoder = child.loadClass(ImageDecoder.class.getName());
      assertThat(decoder).isNotEqualTo(ImageDecoder.class);

      assertThat(decoder.getMethod("decode", byte[].class).invoke(null, (Object) tiff))
          .extracting("width", "height")
          .containsExactly(6, 5);
    } finally {
      Thread.currentThread().setContextClassLoader(before);
    }
  }

  private static String reason(byte[] bytes, long maxPixels) {
    try {
      RgbImage decoded = ImageDecoder.decode(bytes, maxPixels);
      return "decoded %d x %d".formatted(decoded.width(), decoded.height());
    } catch (ImageRejectedException reject) {
      return reject.reason();
    }
  }

  private static BufferedImage noise(int width, int height) {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_3BYTE_BGR);
    WritableRaster raster = image.getRaster();
    SplittableRandom random = new SplittableRandom(7);
    for (int y = 0; y < height; y++) {
      for (int x = 0; x < width; x++) {
        for (int c = 0; c < 3; c++) {
          raster.setSample(x, y, c, random.nextInt(256));
        }
      }
    }
    return image;
  }

  private static byte[] jpeg(int width, int height, Color colour) throws IOException {
    BufferedImage image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB);
    var graphics = image.createGraphics();
    graphics.setColor(colour);
    graphics.fillRect(0, 0, width, height);
    graphics.dispose();
    return write(image, "jpg");
  }

  private static byte[] write(BufferedImage image, String format) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    assertThat(ImageIO.write(image, format, out)).as("a writer for %s", format).isTrue();
    return out.toByteArray();
  }

  private static byte[] withOrientation(byte[] jpeg, int orientation) {
    byte[] exif = new byte[6 + 8 + 2 + 12 + 4];
    ByteBuffer.wrap(exif)
        .put("Exif\0\0MM\0*\0\0\0\10".getBytes(StandardCharsets.US_ASCII))
        .putShort((short) 1)
        .putShort((short) 0x0112)
        .putShort((short) 3)
        .putInt(1)
        .putShort((short) orientation);
    return insert(jpeg, segment(0xe1, exif));
  }

  private static byte[] segment(int marker, byte[] data) {
    return ByteBuffer.allocate(4 + data.length)
        .put((byte) 0xff)
        .put((byte) marker)
        .putShort((short) (data.length + 2))
        .put(data)
        .array();
  }

  private static byte[] insert(byte[] jpeg, byte[] segment) {
    return ByteBuffer.allocate(jpeg.length + segment.length)
        .put(jpeg, 0, 2)
        .put(segment)
        .put(jpeg, 2, jpeg.length - 2)
        .array();
  }

  private static byte[] pngHeader(int width, int height) {
    ByteBuffer png = ByteBuffer.allocate(33);
    png.put("\u0089PNG\r\n\u001a\n".getBytes(StandardCharsets.ISO_8859_1));
    png.putInt(13).put("IHDR".getBytes(StandardCharsets.US_ASCII)).putInt(width).putInt(height);
    png.put((byte) 8).put((byte) 2).put((byte) 0).put((byte) 0).put((byte) 0);
    CRC32 checksum = new CRC32();
    checksum.update(png.array(), 12, 17);
    return png.putInt((int) checksum.getValue()).array();
  }

  private static int pixel(RgbImage image, int x, int y) {
    int at = 3 * (y * image.width() + x);
    return (image.rgb()[at] & 0xff) << 16
        | (image.rgb()[at + 1] & 0xff) << 8
        | (image.rgb()[at + 2] & 0xff);
  }

  private static int[] channels(int rgb) {
    return new int[] {rgb >> 16, rgb >> 8 & 0xff, rgb & 0xff};
  }
}
