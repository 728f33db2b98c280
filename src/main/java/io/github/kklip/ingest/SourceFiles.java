package io.github.kklip.ingest;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.LocatedFileStatus;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.RemoteIterator;

/**
 * The files that the path of a source stands for: a file, all files of a folder with the format's
 * endings, or a Hadoop glob, in which {@code {000..123}} stands for a range of numbers.
 */
final class SourceFiles {
  private static final Pattern RANGE = Pattern.compile("\\{(\\d+)\\.\\.(\\d+)\\}");
  private static final int MAX_RANGE = 1_000_000;

  private SourceFiles() {}

  /**
   * The files in the order of their names, each as a whole unit.
   *
   * @throws SettingsException when there is nothing at the path
   */
  static List<Unit> of(Configuration configuration, int index, Settings.Source source)
      throws IOException {
    if (source.format() == Settings.SourceFormat.SYNTHETIC) {
      return List.of(Unit.whole(index, "synthetic"));
    }
    FileStatus[] found = found(configuration, index, source);
    FileSystem fileSystem = Storage.of(configuration, found[0].getPath());
    List<String> files = new ArrayList<>();
    for (FileStatus status : found) {
      if (status.isFile() || source.format() == Settings.SourceFormat.FOLDER) {
        files.add(status.getPath().toString());
      } else {
        files.addAll(inFolder(fileSystem, status.getPath(), source.format()));
      }
    }
    if (files.isEmpty()) {
      throw refused(
          index, source, "the folder holds no file that ends in " + endings(source.format()));
    }
    return files.stream().sorted().map(file -> Unit.whole(index, file)).toList();
  }

  private static FileStatus[] found(Configuration configuration, int index, Settings.Source source)
      throws IOException {
    try {
      Path path = Storage.path(source.path(), configuration);
      // A name with brackets in it is a name first.
      return new FileStatus[] {Storage.of(configuration, path).getFileStatus(path)};
    } catch (FileNotFoundException | IllegalArgumentException e) {
      Path pattern = Storage.path(ranges(source.path()), configuration);
      FileStatus[] found = Storage.of(configuration, pattern).globStatus(pattern);
      if (found == null || found.length == 0) {
        throw refused(index, source, "there is no such file or folder");
      }
      return found;
    }
  }

  static SettingsException refused(int index, Settings.Source source, String why) {
    return new SettingsException(
        "Cannot ingest "
            + source.path()
            + " because "
            + why
            + ". Check kklip.ingest.sources["
            + index
            + "], a "
            + source.format().name().toLowerCase(Locale.ROOT)
            + " source.");
  }

  private static List<String> inFolder(
      FileSystem fileSystem, Path folder, Settings.SourceFormat format) throws IOException {
    List<String> files = new ArrayList<>();
    RemoteIterator<LocatedFileStatus> listed = fileSystem.listFiles(folder, true);
    while (listed.hasNext()) {
      Path path = listed.next().getPath();
      String name = path.getName().toLowerCase(Locale.ROOT);
      boolean hidden = name.startsWith(".") || name.startsWith("_");
      if (!hidden && endings(format).stream().anyMatch(name::endsWith)) {
        files.add(path.toString());
      }
    }
    return files;
  }

  private static List<String> endings(Settings.SourceFormat format) {
    return switch (format) {
      case WEBDATASET -> List.of(".tar", ".tar.gz", ".tgz");
      case CSV -> List.of(".csv", ".tsv");
      case PARQUET -> List.of(".parquet");
      case FOLDER, SYNTHETIC -> List.of();
    };
  }

  /** WebDataset's {@code {000..002}} as the {@code {000,001,002}} that Hadoop knows. */
  static String ranges(String pattern) {
    Matcher matcher = RANGE.matcher(pattern);
    return matcher.replaceAll(
        range -> {
          String first = range.group(1);
          long from = Long.parseLong(first);
          long to = Long.parseLong(range.group(2));
          if (to < from || to - from >= MAX_RANGE) {
            throw new SettingsException(
                "Cannot use the path "
                    + pattern
                    + " because "
                    + range.group()
                    + " is no range of at most "
                    + MAX_RANGE
                    + " numbers, smallest first.");
          }
          String[] numbers = new String[(int) (to - from) + 1];
          Arrays.setAll(
              numbers, i -> String.format(Locale.ROOT, "%0" + first.length() + "d", from + i));
          return "{" + String.join(",", numbers) + "}";
        });
  }
}
