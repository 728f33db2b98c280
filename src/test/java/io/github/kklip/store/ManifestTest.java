package io.github.kklip.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ManifestTest {
  private static final ProcessingSettings SETTINGS =
      new ProcessingSettings(new TreeMap<>(Map.of("b", "2", "a", "1")));

  @TempDir Path folder;

  @Test
  void aManifestIsTheseBytes() throws IOException {
    DatasetFolder dataset = new DatasetFolder(folder.toString(), new Configuration());
    DatasetManifest manifest = manifest();
    Manifests.commit(dataset, manifest, newest -> newest);

    assertThat(folder.resolve("_manifests/000000001.json"))
        .hasContent(
            """
            {
              "format": 2,
              "number": 1,
              "layout": 1,
              "settings": {
                "a": "1",
                "b": "2"
              },
              "generations": [ {
                "input": 5,
                "pairs": 3,
                "rejects": 2,
                "ignored": 7,
                "reasons": {
                  "duplicate": 2
                },
                "sources": [ {
                  "format": "csv",
                  "path": "/raw",
                  "weight": 1.0,
                  "input": 5,
                  "pairs": 3,
                  "rejects": 2,
                  "ignored": 7
                } ],
                "shards": [ {
                  "split": "train",
                  "index": 0,
                  "rows": 2,
                  "identity": "ab",
                  "file": "pairs/train-00000.parquet",
                  "blocks": ""
                }, {
                  "split": "validation",
                  "index": 0,
                  "rows": 1,
                  "identity": "cd",
                  "file": "pairs/validation-00000.parquet",
                  "blocks": ""
                } ],
                "rejectFiles": [ "rejects/00000-train-00000.parquet" ],
                "seenFiles": [ "sources/seen.txt" ]
              } ],
              "teachers": { },
              "concepts": { },
              "tokenizer": null,
              "removed": [ ],
              "totals": {
                "input": 5,
                "pairs": 3,
                "train": 2,
                "validation": 1,
                "rejects": 2,
                "ignored": 7,
                "reasons": {
                  "duplicate": 2
                }
              },
              "sha256": "f28f00cdc5a30c4361458b722b9856a46524ae75783c2ea1e599356987e6ac48"
            }
            """);
    assertThat(dataset.requireManifest()).isEqualTo(manifest.numbered(1));
  }

  @Test
  void aMissingManifestSaysWhatToDo() {
    DatasetFolder dataset = new DatasetFolder(folder.toString(), new Configuration());

    assertThatThrownBy(dataset::requireManifest)
        .isInstanceOf(SettingsException.class)
        .hasMessageEndingWith("it has no manifest. Make it first, with the job ingest.");
  }

  @Test
  void aDamagedManifestIsNamed() throws IOException {
    byte[] bytes = ManifestFiles.sealed(manifest().numbered(7));
    Path file = folder.resolve("_manifests/000000007.json");
    Files.createDirectories(file.getParent());
    DatasetFolder dataset = new DatasetFolder(folder.toString(), new Configuration());
    Files.write(file, bytes);
    assertThat(dataset.requireManifest()).isEqualTo(manifest().numbered(7));
    Files.write(file, java.util.Arrays.copyOf(bytes, 100));
    assertThatThrownBy(dataset::readManifest)
        .hasMessageContaining(
            "000000007.json because its content is not what its last field, sha256, says.")
        .hasMessageContaining("It is damaged");
    for (int bit = 0; bit < 8 * bytes.length; bit++) {
      byte[] flipped = bytes.clone();
      flipped[bit / 8] ^= (byte) (1 << bit % 8);
      Files.write(file, flipped);
      assertThatThrownBy(dataset::readManifest).as("bit " + bit).isInstanceOf(IOException.class);
    }
  }

  @Test
  void countsThatDisagreeAreRefused() {
    assertThatThrownBy(
            () ->
                new DatasetManifest.Generation(
                    5,
                    3,
                    1,
                    0,
                    new TreeMap<>(Map.of("x", 1L)),
                    List.of(),
                    List.of(),
                    List.of(),
                    List.of()))
        .hasMessageContaining("its numbers disagree: input 5, pairs 3");
  }

  @Test
  void teacherAndConceptManifestsComeBack() {
    TreeMap<String, String> files = new TreeMap<>(Map.of("ab", "x/train.parquet"));
    TeacherManifest teacher =
        new TeacherManifest(SETTINGS, 2, VectorStorage.FLOAT16, files, 2, List.of(0.1, -1 / 3.0));
    ConceptManifest concept =
        new ConceptManifest(
            1,
            SETTINGS,
            "llama",
            2,
            2,
            0.5,
            1.5,
            1,
            0.97,
            List.of(3.5, 2.25),
            List.of(1L, 1L),
            "x",
            "x/centroids.safetensors",
            "y",
            files);

    assertThat(Json.parse(Json.line(teacher), TeacherManifest.class)).isEqualTo(teacher);
    assertThat(Json.line(teacher)).contains("\"storage\":\"float16\"");
    assertThat(Json.parse(Json.line(concept), ConceptManifest.class)).isEqualTo(concept);
  }

  @Test
  void differingSettingsAreNamed() {
    ProcessingSettings other =
        new ProcessingSettings(new TreeMap<>(Map.of("a", "1", "b", "3", "c", "4")));

    assertThat(other.digest()).isNotEqualTo(SETTINGS.digest());
    assertThatThrownBy(() -> other.requireSame(SETTINGS, "the dataset x", "another folder"))
        .hasMessageContaining("the dataset x because it was made with other settings: ")
        .hasMessageContaining("b was 2 and is now 3; c was not set and is now 4")
        .hasMessageEndingWith("Use those settings, or another folder.");
  }

  @Test
  void identitiesAreTruncatedSha256() {
    // echo -n abc | sha256sum begins with these digits.
    assertThat(Identity.ofImage("abc".getBytes(StandardCharsets.UTF_8)))
        .isEqualTo("ba7816bf8f01cfea414140de5dae2223");
    assertThat(Identity.ofPair("ab", "c")).isEqualTo("ba7816bf8f01cfea414140de5dae2223");
    assertThat(Identity.ofSettings(new TreeMap<>(Map.of("a", "bc"))))
        .isNotEqualTo(Identity.ofSettings(new TreeMap<>(Map.of("ab", "c"))));
  }

  private static DatasetManifest manifest() {
    return new DatasetManifest(
        DatasetManifest.FORMAT,
        0,
        1,
        SETTINGS,
        List.of(
            new DatasetManifest.Generation(
                5,
                3,
                2,
                7,
                new TreeMap<>(Map.of("duplicate", 2L)),
                List.of(new DatasetManifest.SourceCounts("csv", "/raw", 1, 5, 3, 2, 7)),
                List.of(
                    new Shard(Split.TRAIN, 0, 2, "ab"), new Shard(Split.VALIDATION, 0, 1, "cd")),
                List.of("rejects/00000-train-00000.parquet"),
                List.of("sources/seen.txt"))),
        new TreeMap<>(),
        new TreeMap<>(),
        null,
        List.of());
  }
}
