package io.github.kklip.image;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.image.ImageRejectedException.TOO_LARGE;
import static io.github.kklip.image.ImageRejectedException.TRUNCATED;
import static io.github.kklip.image.ImageRejectedException.UNDECODABLE;
import static io.github.kklip.image.ImageRejectedException.UNSUPPORTED;

import com.twelvemonkeys.imageio.plugins.tiff.BigTIFFImageReaderSpi;
import com.twelvemonkeys.imageio.plugins.tiff.TIFFImageReaderSpi;
import com.twelvemonkeys.imageio.plugins.webp.WebPImageReaderSpi;
import com.twelvemonkeys.imageio.stream.ByteArrayImageInputStream;
import io.github.kklip.store.publication.ContentKind;
import java.awt.image.DataBufferByte;
import java.awt.image.Raster;
import java.io.EOFException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import javax.imageio.ImageReader;
import javax.imageio.spi.IIORegistry;
import javax.imageio.spi.ImageReaderSpi;
import javax.imageio.stream.ImageInputStream;

/**
 * Bytes of an image file to upright, opaque RGB: JPEG, PNG, GIF, WebP, TIFF, BMP.
 *
 * <p>EXIF orientation is applied, transparency lies on white, 16 bits become 8, and of several
 * frames the first one is taken. What cannot be decoded whole is rejected, whatever the decoder
 * below threw; the size is checked in the header, before any pixel is allocated.
 *
 * <p>JPEG, the usual case, is decoded by the JDK's reader to raw samples, and their colours are
 * converted here. That is as fast as the JDK's own way to RGB and a little faster than
 * TwelveMonkeys' reader, which is built upon it, and does not depend on application segments: the
 * decisions on colour are libjpeg's, and results are within a level of Pillow's. OpenCV's Java
 * binding was measured slower than either. TIFF and WebP are read by TwelveMonkeys (in pure Java),
 * the rest by the JDK.
 */
public final class ImageDecoder {
  /** 8,192 x 10,923 pixels, 256 MiB of RGB: also where Pillow begins to warn. */
  public static final long DEFAULT_MAX_PIXELS = 89_478_485;

  private static final String JDK_PLUGINS = "com.sun.imageio.plugins.";

  /** What readers warn of before they fill the rest of the image with grey or zeros. */
  private static final List<String> MISSING_DATA =
      List.of("premature end of data segment", "Truncated File");

  private ImageDecoder() {}

  public static RgbImage decode(byte[] bytes) throws ImageRejectedException {
    return decode(bytes, DEFAULT_MAX_PIXELS);
  }

  /**
   * The whole image.
   *
   * @param maxPixels images with more are rejected by their header
   * @throws ImageRejectedException with one of its reasons; nothing else is thrown for bad bytes
   */
  public static RgbImage decode(byte[] bytes, long maxPixels) throws ImageRejectedException {
    return guarded(
        () -> {
          ImageFormat format = format(bytes);
          if (format == ImageFormat.JPEG) {
            JpegStream jpeg = JpegStream.parse(bytes);
            limit(jpeg.width(), jpeg.height(), maxPixels);
            return Exif.upright(jpeg(jpeg), jpeg.orientation());
          }
          try (HeaderReading reading = new HeaderReading(reader(format, bytes), bytes)) {
            GifScreen screen = format == ImageFormat.GIF ? GifScreen.parse(bytes) : null;
            if (screen == null) {
              limit(reading.reader.getWidth(0), reading.reader.getHeight(0), maxPixels);
            } else {
              limit(screen.width(), screen.height(), maxPixels);
            }
            if (format == ImageFormat.TIFF) {
              TiffDirectory.first(bytes).refuseTruncated();
            }
            RgbImage image = Pixels.onWhite(reading.reader.read(0));
            reading.refuseTruncated();
            return screen != null
                ? screen.place(image)
                : Exif.upright(image, Exif.orientation(format, bytes));
          }
        });
  }

  /** Size and format, at the cost of a few hundred bytes read. */
  public static ImageHeader probe(byte[] bytes) throws ImageRejectedException {
    return guarded(
        () -> {
          ImageFormat format = format(bytes);
          return switch (format) {
            case JPEG -> {
              JpegStream jpeg = JpegStream.parse(bytes);
              yield header(format, jpeg.width(), jpeg.height(), jpeg.orientation());
            }
            case GIF -> {
              GifScreen screen = GifScreen.parse(bytes);
              yield header(format, screen.width(), screen.height(), 1);
            }
            case PNG, WEBP, TIFF, BMP -> {
              try (HeaderReading reading = new HeaderReading(reader(format, bytes), bytes)) {
                yield header(
                    format,
                    reading.reader.getWidth(0),
                    reading.reader.getHeight(0),
                    Exif.orientation(format, bytes));
              }
            }
          };
        });
  }

  private static ImageHeader header(ImageFormat format, int width, int height, int orientation) {
    return Exif.turned(orientation)
        ? new ImageHeader(format, height, width, orientation)
        : new ImageHeader(format, width, height, orientation);
  }

  private static ImageFormat format(byte[] bytes) throws ImageRejectedException {
    ImageFormat format = ImageFormat.of(bytes);
    if (format == null) {
      Optional<ContentKind> kind = ContentKind.of(bytes);
      throw new ImageRejectedException(
          kind.filter(ContentKind::isImage).isPresent() ? UNSUPPORTED : UNDECODABLE,
          kind.map(ContentKind::sentence).orElse("its first bytes are those of no known format"));
    }
    return format;
  }

  private static void limit(long width, long height, long maxPixels) throws ImageRejectedException {
    if (width * height > maxPixels) {
      throw new ImageRejectedException(
          TOO_LARGE,
          "%d x %d pixels are more than the limit of %d".formatted(width, height, maxPixels));
    }
  }

  private static RgbImage jpeg(JpegStream jpeg) throws IOException, ImageRejectedException {
    if (jpeg.process() > 2 || jpeg.precision() != 8) {
      throw new ImageRejectedException(
          UNSUPPORTED,
          "a JPEG of process %d with %d bits is not one of the usual Huffman-coded, 8-bit ones"
              .formatted(jpeg.process(), jpeg.precision()));
    }
    JpegStream.Colours colours = jpeg.colours();
    try (HeaderReading reading = new HeaderReading(Readers.JPEG, jpeg.bare())) {
      Raster raster = reading.reader.readRaster(0, null);
      reading.refuseTruncated();
      byte[] samples = ((DataBufferByte) raster.getDataBuffer()).getData();
      byte[] rgb =
          switch (colours) {
            case RGB -> samples;
            case GREY -> Pixels.greyToRgb(samples);
            case YCC -> {
              Pixels.yccToRgb(samples, 3);
              yield samples;
            }
            case YCCK -> {
              Pixels.yccToRgb(samples, 4);
              for (int i = 0; i < samples.length; i++) {
                samples[i] = (i & 3) == 3 ? samples[i] : (byte) ~samples[i];
              }
              yield Pixels.invertedCmykToRgb(samples);
            }
            case CMYK -> Pixels.invertedCmykToRgb(samples);
          };
      return new RgbImage(raster.getWidth(), raster.getHeight(), rgb);
    }
  }

  private static ImageReaderSpi reader(ImageFormat format, byte[] bytes) {
    return switch (format) {
      case PNG -> Readers.PNG;
      case GIF -> Readers.GIF;
      case BMP -> Readers.BMP;
      case WEBP -> Readers.WEBP;
      case TIFF -> TiffDirectory.isBig(bytes) ? Readers.BIG_TIFF : Readers.TIFF;
      case JPEG -> Readers.JPEG;
    };
  }

  private interface Decoding<T> {
    T run() throws IOException, ImageRejectedException;
  }

  /** Readers throw what they like at broken files: all of it is a reject here. */
  private static <T> T guarded(Decoding<T> decoding) throws ImageRejectedException {
    try {
      return decoding.run();
    } catch (IOException | RuntimeException broken) {
      throw new ImageRejectedException(
          endOfData(broken) ? TRUNCATED : UNDECODABLE, describe(broken), broken);
    } catch (OutOfMemoryError | StackOverflowError tooMuch) {
      throw new ImageRejectedException(
          tooMuch instanceof OutOfMemoryError ? TOO_LARGE : UNDECODABLE,
          describe(tooMuch),
          tooMuch);
    }
  }

  private static boolean endOfData(Throwable thrown) {
    for (Throwable t = thrown; t != null; t = t.getCause()) {
      if (t instanceof EOFException) {
        return true;
      }
    }
    return false;
  }

  private static String describe(Throwable thrown) {
    return "the decoder said "
        + thrown.getClass().getSimpleName()
        + (thrown.getMessage() == null ? "" : ": " + thrown.getMessage());
  }

  /** One reader at one file; the reader's warnings tell when it made up missing data. */
  private static final class HeaderReading implements AutoCloseable {
    final ImageReader reader;
    private final ImageInputStream stream;
    private final List<String> warnings = new ArrayList<>();

    HeaderReading(ImageReaderSpi provider, byte[] bytes) throws IOException {
      reader = provider.createReaderInstance();
      stream = new ByteArrayImageInputStream(bytes);
      reader.addIIOReadWarningListener((source, warning) -> warnings.add(warning));
      // Metadata are not read: they can be broken, and they can be bombs.
      reader.setInput(stream, true, true);
    }

    void refuseTruncated() throws ImageRejectedException {
      for (String warning : warnings) {
        if (MISSING_DATA.stream().anyMatch(warning::contains)) {
          throw new ImageRejectedException(TRUNCATED, message("the decoder warned: %s", warning));
        }
      }
    }

    @Override
    public void close() throws IOException {
      reader.dispose();
      stream.close();
    }
  }

  /**
   * Named readers instead of what {@code ImageIO} finds: it searches the class loader of whoever
   * asks first, and on a Spark executor this class is in a child of that.
   */
  private static final class Readers {
    static final ImageReaderSpi JPEG = jdk("jpeg.JPEGImageReaderSpi");
    static final ImageReaderSpi PNG = jdk("png.PNGImageReaderSpi");
    static final ImageReaderSpi GIF = jdk("gif.GIFImageReaderSpi");
    static final ImageReaderSpi BMP = jdk("bmp.BMPImageReaderSpi");
    static final ImageReaderSpi WEBP = new WebPImageReaderSpi();
    static final ImageReaderSpi TIFF = new TIFFImageReaderSpi();
    static final ImageReaderSpi BIG_TIFF = new BigTIFFImageReaderSpi();

    private static ImageReaderSpi jdk(String name) {
      Iterator<ImageReaderSpi> found =
          IIORegistry.getDefaultInstance()
              .getServiceProviders(
                  ImageReaderSpi.class,
                  provider -> provider.getClass().getName().equals(JDK_PLUGINS + name),
                  false);
      if (!found.hasNext()) {
        throw new IllegalStateException(
            message(
                "Cannot decode images because this Java runtime lacks a part of module java.desktop: %s%s. Use a full JDK or JRE, not a reduced one.",
                JDK_PLUGINS, name));
      }
      return found.next();
    }
  }
}
