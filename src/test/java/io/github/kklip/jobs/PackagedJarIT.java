package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.Resample;
import io.github.kklip.image.RgbImage;
import java.awt.image.BufferedImage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.TreeMap;
import java.util.jar.JarFile;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import javax.imageio.spi.ImageReaderSpi;
import javax.imageio.spi.ImageWriterSpi;
import org.junit.jupiter.api.Test;

/** What the package phase makes, as another program on its class path sees it. */
class PackagedJarIT {
  private static final Path TARGET = Path.of("target");

  private static Path jar() throws IOException {
    try (Stream<Path> files = Files.list(TARGET)) {
      List<Path> found =
          files.filter(file -> file.getFileName().toString().matches("kklip-\\d.*\\.jar")).toList();
      assertThat(found).as("target/kklip-*.jar of the package phase").hasSize(1);
      return found.get(0);
    }
  }

  /** The one jar, and above it only Java. */
  private static URLClassLoader alone() throws IOException {
    return new URLClassLoader(
        new URL[] {jar().toUri().toURL()}, ClassLoader.getPlatformClassLoader());
  }

  @Test
  void registersNothingWithImageIo() throws Exception {
    try (JarFile jar = new JarFile(jar().toFile());
        URLClassLoader alone = alone()) {
      assertThat(jar.stream().map(entry -> entry.getName()))
          .anyMatch(name -> name.startsWith("META-INF/services/ai.djl."))
          .noneMatch(name -> name.startsWith("META-INF/services/javax.imageio."));
      for (Class<?> service : List.of(ImageReaderSpi.class, ImageWriterSpi.class)) {
        assertThat(ServiceLoader.load(service, alone).stream())
            .as("%s", service)
            .noneMatch(provider -> provider.type().getClassLoader() == alone);
      }
      assertThat(jar.stream().map(entry -> entry.getName()))
          .as("libwebp for machines that Spark runs on")
          .filteredOn(name -> name.matches(".*webp-imageio\\.(so|dll|dylib)"))
          .containsExactlyInAnyOrder(
              "native/Linux/x86_64/libwebp-imageio.so", "native/Linux/aarch64/libwebp-imageio.so");
    }
  }

  @Test
  void itsReadersAndItsWriterWorkAllTheSame() throws Exception {
    BufferedImage image = new BufferedImage(40, 30, BufferedImage.TYPE_3BYTE_BGR);
    image.createGraphics().fillRect(0, 0, 40, 30);
    Map<String, byte[]> files = new TreeMap<>();
    for (String format : List.of("tiff", "png", "jpg", "gif", "bmp")) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      assertThat(ImageIO.write(image, format, out)).as(format).isTrue();
      files.put(format, out.toByteArray());
    }
    ClassLoader before = Thread.currentThread().getContextClassLoader();
    try (URLClassLoader alone = alone()) {
      Thread.currentThread().setContextClassLoader(alone);
      Class<?> decoder = alone.loadClass(ImageDecoder.class.getName());
      Class<?> rgb = alone.loadClass(RgbImage.class.getName());
      assertThat(decoder).isNotEqualTo(ImageDecoder.class);
      Object white =
          decoder.getMethod("decode", byte[].class).invoke(null, (Object) files.get("png"));
      files.put(
          "webp",
          (byte[])
              alone
                  .loadClass(Resample.class.getName())
                  .getMethod("webp", rgb, int.class)
                  .invoke(null, white, 80));
      for (Map.Entry<String, byte[]> file : files.entrySet()) {
        Object decoded =
            decoder.getMethod("decode", byte[].class).invoke(null, (Object) file.getValue());
        assertThat(decoded).as(file.getKey()).extracting("width", "height").containsExactly(40, 30);
      }
    } finally {
      Thread.currentThread().setContextClassLoader(before);
    }
  }
}
