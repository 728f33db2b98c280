package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * The paths of one dataset.
 *
 * <pre>
 * manifest.json
 * pairs/train-00000.parquet, validation-00000.parquet ...
 * rejects/00000-train-00000.parquet ...
 * tokenizer/
 * teachers/NAME/manifest.json, train-00000.parquet ...
 * concepts/NAME/manifest.json, centroids.safetensors, train-00000.parquet ...
 * </pre>
 *
 * @param root the dataset's folder on any Hadoop file system
 */
public record DatasetFolder(Path root, Configuration configuration) {
  private static final String MANIFEST = "manifest.json";

  public DatasetFolder(String root, Configuration configuration) {
    this(Storage.path(root, configuration), configuration);
  }

  public Path manifest() {
    return new Path(root, MANIFEST);
  }

  public Path pairs() {
    return new Path(root, "pairs");
  }

  public Path pairs(Shard shard) {
    return new Path(pairs(), shard.fileName());
  }

  public Path rejects() {
    return new Path(root, "rejects");
  }

  /** The folder of the student's tokenizer. */
  public Path tokenizer() {
    return new Path(root, "tokenizer");
  }

  public Path teacher(String name) {
    return new Path(new Path(root, "teachers"), name);
  }

  public Path teacherManifest(String name) {
    return new Path(teacher(name), MANIFEST);
  }

  public Path teacher(String name, Shard shard) {
    return new Path(teacher(name), shard.fileName());
  }

  public Path concepts(String name) {
    return new Path(new Path(root, "concepts"), name);
  }

  public Path conceptManifest(String name) {
    return new Path(concepts(name), MANIFEST);
  }

  public Path centroids(String name) {
    return new Path(concepts(name), "centroids.safetensors");
  }

  public Path concepts(String name, Shard shard) {
    return new Path(concepts(name), shard.fileName());
  }

  /** The dataset's manifest; empty when there is none yet. */
  public Optional<DatasetManifest> readManifest() throws IOException {
    return Json.readIfPresent(configuration, manifest(), DatasetManifest.class);
  }

  /**
   * The dataset's manifest.
   *
   * @throws SettingsException when there is none
   * @throws IOException when it is damaged
   */
  public DatasetManifest requireManifest() throws IOException {
    return readManifest()
        .orElseThrow(
            () ->
                new SettingsException(
                    message(
                        "Cannot use the dataset %s: it has no %s. Make it first, with the job ingest.",
                        root, MANIFEST)));
  }

  /** The manifest of the embeddings called {@code name}; empty when there is none yet. */
  public Optional<TeacherManifest> readTeacherManifest(String name) throws IOException {
    return Json.readIfPresent(configuration, teacherManifest(name), TeacherManifest.class);
  }

  /** The manifest of the labels called {@code name}; empty when there is none yet. */
  public Optional<ConceptManifest> readConceptManifest(String name) throws IOException {
    return Json.readIfPresent(configuration, conceptManifest(name), ConceptManifest.class);
  }
}
