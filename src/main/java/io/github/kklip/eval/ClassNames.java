package io.github.kklip.eval;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.EvaluateSettings.ZeroShotSettings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * What class folders are called in prompts. A file names them, {@code class-names} or {@code
 * classnames.txt} in their folder, in one of two forms:
 *
 * <ul>
 *   <li>a line for each folder, with the folder, a tab or a blank, and the name, as ImageNet's
 *       {@code LOC_synset_mapping.txt} has them, in any order;
 *   <li>a name in each line in the order of the folders' names, as CLIP_benchmark's {@code
 *       classnames.txt} has them.
 * </ul>
 *
 * Without a file a folder's name is the class's, with blanks for {@code _} and {@code -}.
 */
final class ClassNames {
  private static final String BESIDE = "classnames.txt";
  private static final int MOST_BYTES = 16 << 20;

  private final Map<String, String> names;

  private ClassNames(Map<String, String> names) {
    this.names = names;
  }

  /**
   * The names of folders.
   *
   * @param folders all class folders in their order
   * @param classes those that hold files
   * @throws SettingsException when a file is named that is not there, or one does not name each of
   *     the classes
   */
  static ClassNames of(
      ZeroShotSettings settings,
      List<String> folders,
      List<String> classes,
      Configuration configuration)
      throws IOException {
    boolean given = !settings.classNames().isEmpty();
    Path file =
        given
            ? Storage.path(settings.classNames(), configuration)
            : new Path(Storage.path(settings.path(), configuration), BESIDE);
    Optional<String> text = text(file, configuration);
    if (text.isEmpty()) {
      if (given) {
        throw new SettingsException(
            message(
                "Cannot classify %s because there is no such file: %s. Set class-names of evaluate.zero-shot to a file that names the classes, or leave it out.",
                settings.name(), file));
      }
      return new ClassNames(Map.of());
    }
    List<String> lines = text.get().strip().lines().map(String::strip).toList();
    Map<String, String> named = byFolder(lines);
    if (named.keySet().containsAll(classes)) {
      return new ClassNames(named);
    }
    List<String> order = lines.size() == folders.size() ? folders : classes;
    if (lines.size() != order.size() || lines.contains("")) {
      throw new SettingsException(
          message(
              "Cannot classify %s because %s has %s lines for %s class folders. It needs a line for each: the folder, a tab and the name; or the name alone, in the order of the folders' names.",
              settings.name(), file, lines.size(), folders.size()));
    }
    Map<String, String> ordered = new HashMap<>();
    for (int i = 0; i < order.size(); i++) {
      ordered.put(order.get(i), lines.get(i));
    }
    return new ClassNames(ordered);
  }

  private static Map<String, String> byFolder(List<String> lines) {
    Map<String, String> named = new HashMap<>();
    for (String line : lines) {
      int cut = line.indexOf('\t') < 0 ? line.indexOf(' ') : line.indexOf('\t');
      if (cut > 0) {
        named.put(line.substring(0, cut), line.substring(cut + 1).strip());
      }
    }
    return named;
  }

  private static Optional<String> text(Path file, Configuration configuration) throws IOException {
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      String text = new String(in.readNBytes(MOST_BYTES), StandardCharsets.UTF_8);
      return Optional.of(text.startsWith("\uFEFF") ? text.substring(1) : text);
    } catch (FileNotFoundException e) {
      return Optional.empty();
    }
  }

  String of(String folder) {
    String name = names.get(folder);
    return name == null ? folder.replace('_', ' ').replace('-', ' ') : name;
  }
}
