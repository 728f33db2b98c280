package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Message;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.FileName;
import io.github.kklip.store.publication.SmallFile;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.util.Collection;
import java.util.HashSet;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/**
 * The paths of one dataset. {@code DIGEST} is the beginning of the SHA-256 of the file's bytes: a
 * name never stands for other bytes. Only {@code _manifests} says which files belong to the
 * dataset.
 *
 * <pre>
 * _manifests/000000001.json, 000000002.json ...
 * _runs/NAME.json ...
 * pairs/LAYOUT/train-00000-DIGEST.parquet, validation-00000-DIGEST.parquet ...
 * rejects/00000-train-00000-DIGEST.parquet ...
 * sources/seen-DIGEST.txt ...
 * removed/ids-DIGEST.txt ...
 * tokenizer/DIGEST/
 * teachers/NAME/SETTINGS/train-00000-DIGEST.parquet ...
 * concepts/NAME/centroids-DIGEST.safetensors ...
 * concepts/NAME/CLUSTERING/train-00000-DIGEST.parquet ...
 * </pre>
 *
 * @param root the dataset's folder on any Hadoop file system
 */
public record DatasetFolder(Path root, Configuration configuration) {
  public DatasetFolder(String root, Configuration configuration) {
    this(Storage.path(root, configuration), configuration);
  }

  /**
   * A file that a manifest names.
   *
   * @param inside its path inside the dataset's folder
   * @throws IllegalArgumentException when it would be outside
   */
  public Path file(String inside) {
    try {
      for (String name : inside.split("/", -1)) {
        var unused = new FileName(name);
      }
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(
          message(
              "Cannot use the file %s of the dataset %s because it is no path inside it: %s The manifest is damaged or not this program's.",
              Message.shown(inside), root, e.getMessage()),
          e);
    }
    return new Path(root, new Path(null, null, inside));
  }

  /** A file of a dataset as a manifest names it. */
  public String inside(Path file) {
    return root.toUri().relativize(file.toUri()).getPath();
  }

  /** Those of some files, as a manifest names them, that are there: one listing for each folder. */
  public Set<String> present(Collection<String> files) throws IOException {
    Set<Path> folders = new HashSet<>();
    files.forEach(name -> folders.add(file(name).getParent()));
    Set<String> there = new HashSet<>();
    for (Path folder : folders) {
      try {
        for (FileStatus status : Storage.of(configuration, folder).listStatus(folder)) {
          there.add(inside(folder) + "/" + status.getPath().getName());
        }
      } catch (FileNotFoundException e) {
        // None of them.
      }
    }
    there.retainAll(new HashSet<>(files));
    return there;
  }

  public Path pairs(Shard shard) {
    return file(shard.file());
  }

  public Path pairs() {
    return new Path(root, "pairs");
  }

  public Path rejects() {
    return new Path(root, "rejects");
  }

  /** The folder of the student's tokenizers. */
  public Path tokenizers() {
    return new Path(root, "tokenizer");
  }

  /** The folder of all embeddings called {@code name}. */
  public Path teacher(String name) {
    return new Path(new Path(root, "teachers"), name);
  }

  /** The folder of the embeddings called {@code name} that these settings give. */
  public Path teacher(String name, ProcessingSettings settings) {
    return new Path(teacher(name), settings.digest());
  }

  /** The folder of all labels called {@code name}. */
  public Path concepts(String name) {
    return new Path(new Path(root, "concepts"), name);
  }

  /** The folder of the labels called {@code name} of one clustering. */
  public Path concepts(String name, ConceptManifest clustering) {
    return new Path(concepts(name), clustering.made());
  }

  /** The dataset's newest manifest; empty when there is none yet. */
  public Optional<DatasetManifest> readManifest() throws IOException {
    return ManifestFiles.newest(configuration, root);
  }

  /**
   * The dataset's newest manifest.
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
                        "Cannot use the dataset %s: it has no manifest. Make it first, with the job ingest.",
                        root)));
  }

  /**
   * The folder of the student's tokenizer, after its files were read and checked.
   *
   * @throws SettingsException when there is none
   * @throws IOException when a file is missing, or is not the one that was made
   */
  public Path requireTokenizer(DatasetManifest manifest) throws IOException {
    Path folder = tokenizer(manifest);
    checkFiles(manifest.tokenizer());
    return folder;
  }

  /**
   * The folder of the dataset's tokenizer, whose files are not looked at.
   *
   * @throws SettingsException when there is none
   */
  public Path tokenizer(DatasetManifest manifest) {
    if (manifest.tokenizer() == null) {
      throw new SettingsException(
          message(
              "Cannot read captions by the tokenizer of the dataset %s because it has none. Train it, with the job tokenizer, or set student.tokenizer.",
              root));
    }
    return file(manifest.tokenizer().folder());
  }

  /** Those of format 1 stand in a folder whose name says nothing. */
  private void checkFiles(TokenizerManifest tokenizer) throws IOException {
    Path place = file(tokenizer.folder());
    Map<String, byte[]> contents = new TreeMap<>();
    for (String name : tokenizer.files()) {
      Path file = file(name);
      try (InputStream in = Storage.of(configuration, file).open(file)) {
        contents.put(
            file.getName(), SmallFile.read(in, file.toString(), ModelLimits.TOKENIZER_BYTES));
      }
    }
    if (!place.equals(tokenizers())
        && !place.getName().equals(TokenizerManifest.folder(contents))) {
      throw new IOException(
          message(
              "Cannot use the tokenizer %s because its files, %s, are not those that the name of the folder says. One of them is damaged: bring the folder back from a copy.",
              place, contents.keySet()));
    }
  }
}
