package io.github.kklip.ingest;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.SharedData;
import io.github.kklip.config.Settings;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Stream;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.io.TempDir;

/** Real data, where it is present beside the project. */
@ExtendWith(LocalSpark.class)
class SharedDataTest {
  @TempDir Path folder;

  @Test
  @Tag("slow")
  void flickr8k() throws IOException {
    IngestResult shards =
        ingest(source("webdataset", SharedData.path("flickr8k").resolve("train-shards")));
    assertThat(shards.input()).isEqualTo(2400 * 5);
    assertThat(shards.reasons().keySet()).isSubsetOf("duplicate");
    assertThat(shards.ignored()).isZero();

    IngestResult dev = ingest(source("csv", SharedData.path("flickr8k").resolve("dev/dev.csv")));
    assertThat(dev.input()).isEqualTo(2000);
    assertThat(dev.reasons().keySet()).isSubsetOf("duplicate");
    IngestResult test =
        ingest(
            source("csv", SharedData.path("flickr8k").resolve("dev/dev.csv"))
                .replace("{format", "{split = test, format"));
    assertThat(test.totals().test()).isEqualTo(2000);
    assertThat(test.rejects()).isZero();
  }

  @Test
  void tables() throws IOException {
    IngestResult emoji = ingest(source("csv", SharedData.path("emoji").resolve("emoji.csv")));
    assertThat(emoji.input()).isEqualTo(lines(SharedData.path("emoji").resolve("emoji.csv")) - 1);
    assertThat(emoji.reasons().keySet()).isSubsetOf("duplicate");

    IngestResult sizes =
        ingest(source("csv", SharedData.path("flickr-sizes").resolve("flickr-sizes.csv")));
    assertThat(sizes.input())
        .isEqualTo(lines(SharedData.path("flickr-sizes").resolve("flickr-sizes.csv")) - 1);
    assertThat(sizes.reasons().keySet()).isSubsetOf("duplicate");
  }

  @Test
  void oddImagesAreEachAPairOrAReject() throws IOException {
    IngestResult plain = ingest(source("folder", SharedData.path("odd-images").resolve("files")));
    // Two have one name and two formats.
    assertThat(plain.reasons()).isEqualTo(new TreeMap<>(Map.of("no-caption", 216L)));
    assertThat(plain.ignoredKinds()).isEqualTo(new TreeMap<>(Map.of("other-pictures", 1L)));

    StringBuilder table = new StringBuilder("filepath\ttitle\n");
    List<Path> files;
    try (Stream<Path> found = Files.list(SharedData.path("odd-images").resolve("files"))) {
      files = found.sorted().toList();
    }
    for (Path file : files) {
      table.append(file.toRealPath()).append("\tfile ").append(file.getFileName()).append('\n');
    }
    Files.write(folder.resolve("odd.csv"), table.toString().getBytes(StandardCharsets.UTF_8));
    IngestResult captioned = ingest(source("csv", folder.resolve("odd.csv")));
    assertThat(captioned.input()).isEqualTo(217);
    assertThat(captioned.pairs()).isGreaterThan(120);
    assertThat(captioned.reasons().keySet())
        .isSubsetOf(
            "image-undecodable",
            "image-truncated",
            "image-unsupported",
            "image-too-large",
            "image-too-small",
            "aspect-ratio");
  }

  @Test
  void archivesOfTheWebDatasetProject() throws IOException {
    IngestResult result = ingest(source("webdataset", SharedData.path("webdataset").resolve("*")));

    assertThat(result.pairs()).isZero();
    // Two JSON files are no archives; the images have classes and no captions.
    assertThat(result.reasons()).containsEntry("unreadable", 2L).containsKey("no-caption");
    assertThat(result.ignored()).isPositive();
  }

  private IngestResult ingest(String source) throws IOException {
    Path data = folder.resolve("data" + System.nanoTime());
    IngestResult result =
        IngestStage.run(
            LocalSpark.get(), Settings.load(List.of(), List.of(source, "dataset=" + data)));
    System.err.println(source + ": " + result);
    assertThat(result.input()).isEqualTo(result.pairs() + result.rejects());
    return result;
  }

  private static String source(String format, Path path) throws IOException {
    Path absolute = path.toAbsolutePath().normalize();
    return "ingest.sources=[{format = " + format + ", path = \"" + absolute + "\"}]";
  }

  private long lines(Path file) throws IOException {
    return Files.readAllLines(file).size();
  }
}
