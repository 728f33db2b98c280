package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import org.apache.hadoop.fs.Path;

/**
 * The files of one kind that a dataset is made of, for readers of other programs. A folder of the
 * dataset may hold more: what an interrupted job left, and what was replaced.
 */
public final class DatasetFiles {
  private static final String TRAIN = "/" + Split.TRAIN.keyword();
  private static final String VALIDATION = "/" + Split.VALIDATION.keyword();

  private DatasetFiles() {}

  /**
   * The files of a kind in the order of the manifest, those of shards by generation, split and
   * index.
   *
   * @param kind {@code pairs}, {@code teachers/NAME}, {@code concepts/NAME}, each also with {@code
   *     /train} or {@code /validation} after it, {@code rejects}, {@code centroids/NAME}, {@code
   *     tokenizer}, {@code sources}, {@code removed}; {@code manifests} are all that there are
   * @throws SettingsException when there is no such kind in the dataset, naming those that there
   *     are
   */
  public static List<Path> of(DatasetFolder folder, DatasetManifest made, String kind)
      throws IOException {
    if (kind.equals("manifests")) {
      return numbered(folder);
    }
    List<Shard> shards = shards(made, kind);
    String all = kind.endsWith(TRAIN) ? cut(kind, TRAIN) : cut(kind, VALIDATION);
    List<String> files = named(made, shards, all);
    if (files == null && all.equals(kind)) {
      files =
          switch (kind) {
            case "rejects" ->
                made.generations().stream().flatMap(g -> g.rejectFiles().stream()).toList();
            case "sources" ->
                made.generations().stream().flatMap(g -> g.seenFiles().stream()).toList();
            case "removed" -> made.removed();
            case "tokenizer" -> made.tokenizer() == null ? List.of() : made.tokenizer().files();
            default -> centroids(made, kind);
          };
    }
    if (files == null) {
      throw new SettingsException(
          message(
              "Cannot list the files of kind %s of the dataset %s because it has none of that kind. Give one of %s.",
              kind, folder.root(), String.join(", ", kinds(made))));
    }
    return files.stream().map(folder::file).toList();
  }

  private static String cut(String kind, String end) {
    return kind.endsWith(end) ? kind.substring(0, kind.length() - end.length()) : kind;
  }

  private static List<Shard> shards(DatasetManifest manifest, String kind) {
    if (kind.endsWith(TRAIN)) {
      return manifest.shards(Split.TRAIN);
    }
    return kind.endsWith(VALIDATION) ? manifest.shards(Split.VALIDATION) : manifest.shards();
  }

  /** Files that follow shards; null when the kind is none of these. */
  private static List<String> named(DatasetManifest manifest, List<Shard> shards, String kind) {
    if (kind.equals("pairs")) {
      return shards.stream().map(Shard::file).toList();
    }
    Map<String, String> files = null;
    String name = kind.substring(kind.indexOf('/') + 1);
    if (kind.startsWith("teachers/") && manifest.teachers().containsKey(name)) {
      files = manifest.teachers().get(name).files();
    } else if (kind.startsWith("concepts/") && manifest.concepts().containsKey(name)) {
      files = manifest.concepts().get(name).files();
    }
    if (files == null) {
      return null;
    }
    List<String> found = new ArrayList<>();
    for (Shard shard : shards) {
      if (files.containsKey(shard.identity())) {
        found.add(files.get(shard.identity()));
      }
    }
    return found;
  }

  private static List<String> centroids(DatasetManifest manifest, String kind) {
    ConceptManifest labels =
        kind.startsWith("centroids/")
            ? manifest.concepts().get(kind.substring("centroids/".length()))
            : null;
    return labels == null ? null : List.of(labels.centroidsFile());
  }

  private static List<Path> numbered(DatasetFolder folder) throws IOException {
    return ManifestFiles.list(folder.configuration(), folder.root()).keySet().stream()
        .map(number -> ManifestFiles.file(folder.root(), number))
        .toList();
  }

  /** The kinds that a dataset has. */
  private static Set<String> kinds(DatasetManifest manifest) {
    Set<String> kinds =
        new TreeSet<>(
            List.of(
                "pairs",
                "pairs/train",
                "pairs/validation",
                "rejects",
                "sources",
                "removed",
                "tokenizer",
                "manifests"));
    manifest.teachers().keySet().forEach(name -> kinds.add("teachers/" + name));
    manifest
        .concepts()
        .keySet()
        .forEach(name -> kinds.addAll(List.of("concepts/" + name, "centroids/" + name)));
    return kinds;
  }
}
