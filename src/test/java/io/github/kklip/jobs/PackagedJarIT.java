package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
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
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.ServiceLoader;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.jar.JarFile;
import java.util.stream.Collectors;
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

  /** Each artifact that the jar holds a description of is in the list of components. */
  @Test
  void theBillOfMaterialsNamesWhatTheJarHolds() throws Exception {
    assumeThat(System.getProperty("no-sbom")).as("an offline build has none").isNull();
    JsonNode bom = new ObjectMapper().readTree(TARGET.resolve("kklip-sbom.json").toFile());
    assertThat(bom.path("bomFormat").asText()).isEqualTo("CycloneDX");
    Set<String> components = new TreeSet<>();
    for (JsonNode component : bom.path("components")) {
      components.add(component.path("group").asText() + ":" + component.path("name").asText());
      assertThat(component.path("version").asText()).as("%s", component).isNotEmpty();
      assertThat(component.path("hashes")).as("%s", component).isNotEmpty();
    }
    List<String> held = new ArrayList<>();
    try (JarFile jar = new JarFile(jar().toFile())) {
      held.addAll(
          jar.stream()
              .map(entry -> entry.getName().split("/", -1))
              .filter(parts -> parts.length == 5 && parts[4].equals("pom.properties"))
              .map(parts -> parts[2] + ":" + parts[3])
              .filter(name -> !name.equals("io.github.kklip:kklip"))
              .collect(Collectors.toList()));
    }
    assertThat(held).hasSizeGreaterThan(8);
    assertThat(components)
        .containsAll(held)
        .contains(
            "ai.djl.pytorch:pytorch-native-cpu",
            "org.apache.hadoop:hadoop-aws",
            "org.apache.spark:spark-core_2.13")
        .noneMatch(name -> name.startsWith("org.junit"));
  }
}
