package io.github.kklip.ingest.sources;

import static org.assertj.core.api.Assertions.assertThat;

import io.github.kklip.ingest.sources.SourceRows.Candidate;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

final class JsonSourcesTest {
  @TempDir Path folder;

  @BeforeEach
  void images() throws IOException {
    for (int i = 0; i < 10; i++) {
      Files.write(folder.resolve(i + ".jpg"), new byte[] {(byte) i});
    }
  }

  private List<String> read(String format, String text, String... keys) throws IOException {
    return candidates(format, text, keys).stream().map(Candidate::toString).toList();
  }

  private List<Candidate> candidates(String format, String text, String... keys)
      throws IOException {
    Path file = Files.writeString(folder.resolve("t.json"), text);
    List<Candidate> found = SourceRows.read(format, file, keys);
    Path zipped = folder.resolve("t.json.gz");
    try (GZIPOutputStream gzip = new GZIPOutputStream(Files.newOutputStream(zipped))) {
      gzip.write(text.getBytes(StandardCharsets.UTF_8));
    }
    assertThat(SourceRows.read(format, zipped, keys)).isEqualTo(found);
    return found;
  }

  @Test
  void linesOfHuggingFace() throws IOException {
    assertThat(
            read(
                "jsonl",
                """
                {"file_name": "0.jpg", "text": "one, \\"two\\""}
                {"file_name": "1.jpg", "text": ["a", "b"], "other": NaN}

                {"file_name": "2.jpg", "text": null}
                {"file_name": "3.jpg"}
                {"file_name": "4.jpg", "text": NaN}
                {"file_name": "5.jpg", "text": ""}
                {"file_name": "6.jpg", "text": 7}
                {"text": "no name"}
                {"file_name": "gone.jpg", "text": "gone"}
                {"file_name": "https://example.invalid/a.jpg", "text": "not fetched"}
                {"file_name": "7.jpg", "text": "cut
                [1]
                {"file_name": "8.jpg", "text": []}
                {"file_name": "9.jpg", "text": "last"}\
                """))
        .containsExactly(
            "0.jpg: one, \"two\"",
            "1.jpg: a",
            "1.jpg: b",
            "2.jpg line 4 caption-missing",
            "3.jpg line 5 caption-missing",
            "4.jpg line 6 caption-missing",
            "5.jpg line 7 caption-missing",
            "6.jpg line 8 json-malformed",
            "line 9 line 9 no-image",
            "gone.jpg line 10 missing-file",
            "https://example.invalid/a.jpg line 11 not-a-file",
            "line 12 json-malformed",
            "line 13 json-malformed",
            "8.jpg line 14 caption-missing",
            "9.jpg: last");
  }

  @Test
  void fieldsMayBeNestedAndHaveDots() throws IOException {
    String lines =
        """
        {"image": {"path": "0.jpg"}, "meta": {"caption.en": "one"}}
        {"image.path": ["1.jpg"], "meta": {"caption.en": "two"}}
        {"image": {"path": ["1.jpg", "2.jpg"]}, "meta": {"caption.en": "three"}}
        """;

    assertThat(
            read("jsonl", lines, "image-column = image.path", "caption-column = meta.caption.en"))
        .containsExactly("0.jpg: one", "1.jpg: two", "line 3 line 3 no-image");
    List<Candidate> none = candidates("jsonl", lines);
    assertThat(none).hasSize(1);
    assertThat(none.get(0).reason()).isEqualTo("schema");
    assertThat(none.get(0).text())
        .contains("[image, meta, image.path]")
        .contains("file_name")
        .contains("image-column and caption-column");
  }

  @Test
  void anArrayIsNoJsonLines() throws IOException {
    List<Candidate> found =
        candidates("jsonl", "[\n{\"file_name\": \"0.jpg\", \"text\": \"a\"},\n1]\n");

    // The line with an object and a comma is not one object.
    assertThat(found.get(0).reason()).isIn("schema", "json-malformed");
    List<Candidate> array = candidates("jsonl", "[{\"image\": \"0.jpg\"}]");
    assertThat(array).hasSize(1);
    assertThat(array.get(0).reason()).isEqualTo("schema");
    assertThat(array.get(0).text()).contains("one array").contains("llava");
  }

  @Test
  void manyLinesAreReadInPieces() throws IOException {
    StringBuilder lines = new StringBuilder();
    List<String> wanted = new ArrayList<>();
    for (int i = 0; i < 1500; i++) {
      String name = i % 10 + ".jpg";
      lines.append("{\"file_name\": \"").append(name).append("\", \"text\": \"\u00e9 ").append(i);
      lines.append("\"}\n");
      wanted.add(name + ": \u00e9 " + i);
    }

    assertThat(read("jsonl", lines.toString())).isEqualTo(wanted);
  }

  @Test
  void captionsOfCoco() throws IOException {
    assertThat(
            read(
                "coco",
                """
                {"info": {"images": [1, 2]}, "licenses": [],
                 "annotations": [
                   {"id": 10, "image_id": 1, "caption": "one"},
                   {"id": 11, "image_id": 2, "caption": "two"},
                   {"id": 12, "image_id": 1, "caption": "uno"},
                   {"id": 13, "image_id": 99, "caption": "of no image"},
                   {"id": 14, "image_id": 3, "caption": ""}],
                 "images": [
                   {"id": 1, "file_name": "0.jpg"},
                   {"id": 2, "file_name": "sub/../1.jpg"},
                   {"id": 3, "file_name": "2.jpg"},
                   {"id": 4, "file_name": "3.jpg"},
                   {"id": 5, "file_name": "http://example.invalid/a.jpg"}]}
                """))
        .containsExactly(
            "0.jpg: one",
            "0.jpg: uno",
            "sub/../1.jpg: two",
            "2.jpg annotation 14 caption-missing",
            "3.jpg no-caption",
            "http://example.invalid/a.jpg no-caption",
            "annotation 13 no-image");
  }

  @Test
  void idsOfCocoNeverPairAnImageWithAnothersCaptions() throws IOException {
    assertThat(
            read(
                "coco",
                """
                {"images": [
                   {"id": "a", "file_name": "0.jpg"},
                   {"id": 7, "file_name": "1.jpg"},
                   {"id": 7.0, "file_name": "2.jpg"},
                   {"id": 8, "file_name": "3.jpg"},
                   {"id": 8, "file_name": "3.jpg"},
                   {"file_name": "4.jpg"},
                   {"id": null, "file_name": "5.jpg"},
                   {"id": 9, "file_name": "6.jpg"}],
                 "annotations": [
                   {"id": 1, "image_id": "a", "caption": "of a text"},
                   {"id": 2, "image_id": 7, "caption": "of either"},
                   {"id": 3, "image_id": 8.0, "caption": "of one twice"},
                   {"id": 4, "caption": "of none"},
                   {"id": 5, "image_id": null, "caption": "of null"},
                   {"id": 6, "image_id": 9, "caption": ["listed", ["deeper"]]}]}
                """))
        .containsExactly(
            "0.jpg: of a text",
            "1.jpg annotation 2 ambiguous-sample",
            "2.jpg annotation 2 ambiguous-sample",
            "3.jpg: of one twice",
            "3.jpg: of one twice",
            "4.jpg no-caption",
            "5.jpg no-caption",
            "6.jpg: listed",
            "6.jpg annotation 6 caption 1 json-malformed",
            "annotation 4 no-image",
            "annotation 5 no-image");
  }

  @Test
  void aFieldThatIsNullGivesWayToTheNext() throws IOException {
    assertThat(
            read(
                "jsonl",
                """
                {"file_name": "0.jpg", "text": null, "captions": ["a", "b"]}
                {"file_name": "1.jpg", "text": null, "caption": null}
                {"file_name": [], "text": "no image"}
                """))
        .containsExactly(
            "0.jpg: a", "0.jpg: b", "1.jpg line 2 caption-missing", "line 3 line 3 no-image");
  }

  @Test
  void aLongCocoFileIsReadInPieces() throws IOException {
    StringBuilder images = new StringBuilder();
    StringBuilder annotations = new StringBuilder();
    List<String> wanted = new ArrayList<>();
    for (int i = 0; i < 1100; i++) {
      String name = i % 10 + ".jpg";
      images
          .append(i == 0 ? "" : ",\n")
          .append("{\"id\": ")
          .append(i)
          .append(", \"x\": \"\u00e9\",");
      images.append("\"file_name\": \"").append(name).append("\"}");
      annotations.append(i == 0 ? "" : ",").append("{\"image_id\": ").append(1099 - i);
      annotations.append(", \"id\": 1, \"caption\": \"c").append(1099 - i).append("\"}");
      wanted.add(name + ": c" + i);
    }

    assertThat(
            read("coco", "{\"images\": [" + images + "], \"annotations\": [" + annotations + "]}"))
        .isEqualTo(wanted);
  }

  @Test
  void otherFilesOfCocoAreNamed() throws IOException {
    List<Candidate> instances =
        candidates(
            "coco",
            "{\"images\": [{\"id\": 1}], \"annotations\": [{\"image_id\": 1, \"bbox\": []}]}");
    assertThat(instances).extracting(Candidate::reason).containsExactly("schema");
    assertThat(instances.get(0).text()).contains("[image_id, bbox]").contains("captions_*.json");

    List<Candidate> info = candidates("coco", "{\"images\": [], \"info\": 1}");
    assertThat(info).extracting(Candidate::reason).containsExactly("schema");
    assertThat(info.get(0).text()).contains("[images, info]").contains("there is no annotations");

    assertThat(read("coco", "{\"images\": [{\"id\": 1}], \"annotations\": [{\"image_id\": 1, "))
        .containsExactly(" json-malformed");
  }

  @Test
  void conversationsOfLlava() throws IOException {
    String elements =
        """
        {"id": "1", "image": "0.jpg", "conversations": [
           {"from": "human", "value": "<image>"}, {"from": "gpt", "value": "one"},
           {"from": "human", "value": "more"}, {"from": "gpt", "value": "not this"}]},
        {"id": "2", "conversations": [{"from": "human", "value": "text only"}]},
        {"id": "3", "image": "1.jpg", "conversations": [{"from": "human", "value": "x"}]},
        {"id": "4", "image": ["2.jpg"], "conversations": [{"from": "gpt", "value": "four"}]}\
        """;
    List<String> wanted =
        List.of(
            "0.jpg: one",
            "element 1 element 1 no-image",
            "1.jpg element 2 caption-missing",
            "2.jpg: four");

    assertThat(read("llava", "[" + elements + "]")).isEqualTo(wanted);
    assertThat(read("llava", elements.replace("},\n{", "}\n{"))).isEqualTo(wanted);
    List<Candidate> captions = candidates("llava", "[{\"image\": \"0.jpg\", \"caption\": \"a\"}]");
    assertThat(captions).extracting(Candidate::reason).containsExactly("schema");
    assertThat(captions.get(0).text()).contains("[image, caption]").contains("conversations");
  }

  @Test
  void aLongFileOfLlavaIsReadInPiecesAndToItsDamage() throws IOException {
    StringBuilder elements = new StringBuilder("\uFEFF[");
    List<String> wanted = new ArrayList<>();
    for (int i = 0; i < 1100; i++) {
      String name = i % 10 + ".jpg";
      elements.append("{\"image\": \"").append(name).append("\", \"conversations\": [{\"from\":");
      elements.append("\"gpt\", \"value\": \"\u00e9 ").append(i).append("\"}]}\n, ");
      wanted.add(name + ": \u00e9 " + i);
    }

    wanted.add("element 1100 json-malformed");
    List<Candidate> found = candidates("llava", elements + "{\"image\"");
    assertThat(found).extracting(Candidate::toString).isEqualTo(wanted);
    assertThat(found.get(1100).text()).contains("Nothing of what follows is read");
  }

  @Test
  void imageRootHoldsForAll() throws IOException {
    Path images = Files.createDirectories(folder.resolve("pictures"));
    Files.write(images.resolve("p.jpg"), new byte[] {1});
    String root = "image-root = \"" + images + "\"";

    assertThat(read("jsonl", "{\"file_name\": \"p.jpg\", \"text\": \"a\"}", root))
        .containsExactly("p.jpg: a");
    assertThat(
            read(
                "coco",
                "{\"images\": [{\"id\": 1, \"file_name\": \"p.jpg\"}],"
                    + " \"annotations\": [{\"id\": 1, \"image_id\": 1, \"caption\": \"a\"}]}",
                root))
        .containsExactly("p.jpg: a");
    assertThat(
            read(
                "llava",
                "[{\"image\": \"../0.jpg\", \"conversations\": [{\"from\": \"gpt\", \"value\":"
                    + " \"a\"}]}]",
                root))
        .containsExactly("../0.jpg element 0 not-a-file");
  }

  @Test
  void aFileThatIsNoTextIsNamed() throws IOException {
    ByteArrayOutputStream page = new ByteArrayOutputStream();
    page.write("<!DOCTYPE html><html>".getBytes(StandardCharsets.UTF_8));
    Path file = Files.write(folder.resolve("t.json"), page.toByteArray());

    for (String format : List.of("jsonl", "coco", "llava")) {
      List<Candidate> found = SourceRows.read(format, file);
      assertThat(found).hasSize(1);
      assertThat(found.get(0).text()).contains("it is an HTML page");
    }
  }
}
