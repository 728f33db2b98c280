package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.apache.hadoop.fs.Path;

/**
 * The files of one kind that a dataset is made of, for readers of other programs. A folder of the
 * dataset may hold more: what an interrupted job left, and what was replaced.
 */
public final class DatasetFiles {
  private DatasetFiles() {}

  /**
   * The files of a kind in the order of the manifest, those of shards by generation, split and
   * index.
   *
   * @param kind {@code pairs}, {@code teachers/NAME}, {@code concepts/NAME}, each also with {@code
   *     /train}, {@code /validation} or {@code /test} after it, {@code rejects}, {@code
   *     centroids/NAME}, {@code tokenizer}, {@code sources}, {@code removed}; {@code manifests} are
   *     all that there are
   * @throws SettingsException when there is no such kind in the dataset, naming those that there
   *     are
   */
  public static List<Path> of(DatasetFolder folder, DatasetManifest made, String kind)
      throws IOException {
    if (kind.equals("manifests")) {
      return numbered(folder);
    }
    Split split = split(made, kind);
    List<Shard> shards = split == null ? made.shards() : made.shards(split);
    String all = split == null ? kind : kind.substring(0, kind.length() - end(split).length());
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

  private static String end(Split split) {
    return "/" + split.keyword();
  }

  /** A dataset need not have a test split, and most have none. */
  private static Stream<Split> splits(DatasetManifest manifest) {
    return Arrays.stream(Split.values())
        .filter(split -> split != Split.TEST || manifest.rows(split) > 0);
  }

  /** The split that a kind names; null when it names none. */
  private static Split split(DatasetManifest manifest, String kind) {
    return splits(manifest).filter(split -> kind.endsWith(end(split))).findFirst().orElse(null);
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
        new TreeSet<>(List.of("pairs", "rejects", "sources", "removed", "tokenizer", "manifests"));
    splits(manifest).forEach(split -> kinds.add("pairs" + end(split)));
    manifest.teachers().keySet().forEach(name -> kinds.add("teachers/" + name));
    manifest
        .concepts()
        .keySet()
        .forEach(name -> kinds.addAll(List.of("concepts/" + name, "centroids/" + name)));
    return kinds;
  }
}
