package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Keyword;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.Identity;
import io.github.kklip.store.publication.NameEncoding;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.function.Predicate;
import java.util.regex.MatchResult;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.Path;

/**
 * The files that the path of a source stands for: a file, all files of a folder with the format's
 * endings, or a Hadoop glob, in which {@code {000..123}} stands for a range of numbers.
 */
public final class SourceFiles {
  private static final Pattern RANGE = Pattern.compile("\\{(\\d+)\\.\\.(\\d+)\\}");
  private static final int MAX_RANGE = 1_000_000;
  private static final int FOLDERS_LOOKED_INTO = 16;

  private SourceFiles() {}

  /**
   * One file of a source, whole.
   *
   * @param fingerprint changes when the file changes or is read in another way; empty for what
   *     refers to other files, which may change by themselves
   */
  public record SourceFile(Unit unit, String fingerprint) {}

  /**
   * The files in the order of their names, each as a whole unit.
   *
   * @throws SettingsException when there is nothing at the path
   */
  public static List<SourceFile> of(
      Configuration configuration, int index, IngestSettings.SourceSettings source)
      throws IOException {
    if (source.format() == IngestSettings.SourceFormat.SYNTHETIC) {
      return List.of(new SourceFile(Unit.whole(index, "synthetic"), ""));
    }
    requireReadableNames(configuration, source);
    requireImageRoot(configuration, index, source);
    FileStatus[] found = found(configuration, index, source, source.path(), source.path());
    List<FileStatus> files = new ArrayList<>();
    List<String> links = new ArrayList<>();
    for (FileStatus status : found) {
      if (status.isFile() || source.format() == IngestSettings.SourceFormat.FOLDER) {
        files.add(status);
      } else {
        FolderWalk walk = FolderWalk.of(configuration, status.getPath(), source.followLinks());
        walk.files().stream()
            .filter(file -> isWanted(status.getPath(), file.getPath(), source.format()))
            .forEach(files::add);
        walk.skipped().stream()
            .filter(skipped -> isWanted(status.getPath(), skipped.path(), source.format()))
            .forEach(skipped -> links.addAll(skipped.named(skipped.path().toString())));
      }
    }
    if (files.isEmpty() && links.isEmpty()) {
      throw noFile(index, source);
    }
    Stream<SourceFile> skipped =
        links.isEmpty()
            ? Stream.empty()
            : Stream.of(new SourceFile(LinkReader.unit(index, source.path(), links), ""));
    Stream<SourceFile> read =
        files.stream()
            .map(
                file ->
                    new SourceFile(
                        Unit.whole(index, file.getPath().toString()), fingerprint(source, file)))
            .sorted(Comparator.comparing(file -> file.unit().path()));
    return Stream.concat(read, skipped).toList();
  }

  /**
   * Refuses a source of which nothing is there, with few requests however large it is: {@value
   * #FOLDERS_LOOKED_INTO} folders are looked into at the most, and of a pattern the part up to its
   * first wildcard. {@link #of} looks at all of it.
   *
   * @throws SettingsException when there is nothing at the path
   */
  public static void requireSome(
      Configuration configuration, int index, IngestSettings.SourceSettings source)
      throws IOException {
    if (source.format() == IngestSettings.SourceFormat.SYNTHETIC
        || source.format() == IngestSettings.SourceFormat.SPARK) {
      return;
    }
    requireReadableNames(configuration, source);
    requireImageRoot(configuration, index, source);
    String path = source.path();
    String known = upToFirstWildcard(path);
    Deque<FileStatus> waiting = new ArrayDeque<>();
    for (FileStatus status : found(configuration, index, source, path, known)) {
      if (status.isFile() || source.format() == IngestSettings.SourceFormat.FOLDER) {
        return;
      }
      waiting.add(status);
    }
    if (!known.equals(path)) {
      return;
    }
    for (int folders = 0; !waiting.isEmpty(); folders++) {
      if (folders == FOLDERS_LOOKED_INTO) {
        return;
      }
      Path folder = waiting.remove().getPath();
      for (FileStatus status : Storage.of(configuration, folder).listStatus(folder)) {
        if (Clutter.is(status.getPath().getName())) {
          continue;
        }
        if (status.isDirectory()) {
          waiting.add(status);
        } else if (isWanted(folder, status.getPath(), source.format())) {
          return;
        }
      }
    }
    throw noFile(index, source);
  }

  /**
   * Refuses a source on local disks where this process cannot tell the names of files apart. Asked
   * by the driver and in every executor that reads.
   *
   * @throws SettingsException with what to set
   */
  public static void requireReadableNames(
      Configuration configuration, IngestSettings.SourceSettings source) throws IOException {
    if (source.format() != IngestSettings.SourceFormat.SYNTHETIC
        && NameEncoding.problem().isPresent()
        && Storage.isLocal(configuration, Storage.path(source.path(), configuration))) {
      NameEncoding.require();
    }
  }

  /** A folder of images that is not there would make a reject of every row. */
  private static void requireImageRoot(
      Configuration configuration, int index, IngestSettings.SourceSettings source)
      throws IOException {
    if (source.imageRoot().isEmpty()) {
      return;
    }
    Path root = Storage.path(source.imageRoot(), configuration);
    try {
      if (Storage.of(configuration, root).getFileStatus(root).isDirectory()) {
        return;
      }
    } catch (FileNotFoundException e) {
      // As one that is a file.
    }
    throw refused(index, source, message("its image-root, %s, is no folder", source.imageRoot()));
  }

  private static SettingsException noFile(int index, IngestSettings.SourceSettings source) {
    return refused(
        index,
        source,
        message("the folder holds no file that ends in %s", endings(source.format())));
  }

  /** The path up to the end of its first part that is a pattern. */
  private static String upToFirstWildcard(String path) {
    boolean wild = false;
    int braces = 0;
    for (int i = 0; i < path.length(); i++) {
      char c = path.charAt(i);
      wild |= "*?[{".indexOf(c) >= 0;
      braces += c == '{' ? 1 : c == '}' ? -1 : 0;
      if (wild && c == '/' && braces == 0) {
        return path.substring(0, i);
      }
    }
    return path;
  }

  private static String fingerprint(IngestSettings.SourceSettings source, FileStatus file) {
    return switch (source.format()) {
      case WEBDATASET, PARQUET ->
          fingerprint(source, file.getPath().toString(), file.getLen(), file.getModificationTime());
      case CSV, JSONL, COCO, LLAVA, FOLDER, SYNTHETIC, SPARK -> "";
    };
  }

  /**
   * What a file is and how it is read.
   *
   * @param modified time in milliseconds
   */
  public static String fingerprint(
      IngestSettings.SourceSettings source, String path, long length, long modified) {
    TreeMap<String, String> of =
        new TreeMap<>(
            Map.of(
                "path", path,
                "length", Long.toString(length),
                "modified", Long.toString(modified),
                "image-column", source.imageColumn(),
                "caption-column", source.captionColumn(),
                "weight", Double.toString(source.weight())));
    // Datasets know files by what they were read with before there were these keys.
    if (source.split() != IngestSettings.SourceSplit.AUTO) {
      of.put("split", Keyword.of(source.split()));
    }
    if (source.captions() != IngestSettings.CaptionLines.AUTO) {
      of.put("captions", Keyword.of(source.captions()));
    }
    if (source.imageContent() != IngestSettings.ImageContent.AUTO) {
      of.put("image-content", Keyword.of(source.imageContent()));
    }
    if (!source.imageIndex().isEmpty()) {
      of.put("image-index", source.imageIndex());
    }
    if (!source.imageRoot().isEmpty()) {
      of.put("image-root", source.imageRoot());
    }
    if (!source.table().isEmpty()) {
      of.put("table", source.table());
    }
    return Identity.ofSettings(of);
  }

  /**
   * What is at {@code exact}, or matches {@code pattern}.
   *
   * @throws SettingsException when there is neither
   */
  private static FileStatus[] found(
      Configuration configuration,
      int index,
      IngestSettings.SourceSettings source,
      String exact,
      String pattern)
      throws IOException {
    try {
      Path path = Storage.path(exact, configuration);
      // A name with brackets in it is a name first.
      return new FileStatus[] {Storage.of(configuration, path).getFileStatus(path)};
    } catch (FileNotFoundException | IllegalArgumentException e) {
      int name = pattern.lastIndexOf('/') + 1;
      String folder = ranges(pattern.substring(0, name));
      String last = pattern.substring(name);
      Path glob = Storage.path(folder + RANGE.matcher(last).replaceAll("*"), configuration);
      FileStatus[] found = Storage.of(configuration, glob).globStatus(glob);
      Predicate<String> inRanges = inRanges(last);
      found =
          Arrays.stream(found == null ? new FileStatus[0] : found)
              .filter(status -> inRanges.test(status.getPath().getName()))
              .toArray(FileStatus[]::new);
      if (found.length == 0) {
        throw refused(index, source, "there is no such file or folder");
      }
      return found;
    }
  }

  public static SettingsException refused(
      int index, IngestSettings.SourceSettings source, String why) {
    return new SettingsException(
        message(
            "Cannot ingest %s because %s. Check kklip.ingest.sources[%s], a %s source.",
            source.name(), why, index, source.format().name().toLowerCase(Locale.ROOT)));
  }

  private static boolean isWanted(Path folder, Path file, IngestSettings.SourceFormat format) {
    String name = file.getName().toLowerCase(Locale.ROOT);
    return !Clutter.is(folder, file) && endings(format).stream().anyMatch(name::endsWith);
  }

  private static List<String> endings(IngestSettings.SourceFormat format) {
    return switch (format) {
      case WEBDATASET ->
          List.of(
              ".tar",
              ".tar.gz",
              ".tgz",
              ".tar.zst",
              ".tzst",
              ".tar.bz2",
              ".tbz2",
              ".tar.xz",
              ".txz",
              ".zip");
      case CSV -> List.of(".csv", ".tsv", ".csv.gz", ".tsv.gz");
      case JSONL -> List.of(".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz");
      case COCO, LLAVA -> List.of(".json", ".json.gz");
      case PARQUET -> List.of(".parquet");
      case FOLDER, SYNTHETIC, SPARK -> List.of();
    };
  }

  /**
   * Whether the numbers in a name are within the ranges of the pattern. A range of ten thousand
   * shards is one listing and a look at each name; as ten thousand alternatives it takes a minute.
   */
  private static Predicate<String> inRanges(String pattern) {
    StringBuilder regex = new StringBuilder();
    List<long[]> bounds = new ArrayList<>();
    Matcher range = RANGE.matcher(pattern);
    int from = 0;
    while (range.find()) {
      regex.append(literal(pattern.substring(from, range.start())));
      long[] bound = bounds(pattern, range.toMatchResult());
      bounds.add(bound);
      regex.append("(\\d{").append(range.group(1).length()).append(",})");
      from = range.end();
    }
    if (bounds.isEmpty()) {
      return name -> true;
    }
    Pattern names = Pattern.compile(regex + literal(pattern.substring(from)));
    return name -> {
      Matcher matcher = names.matcher(name);
      if (!matcher.matches()) {
        return false;
      }
      for (int i = 0; i < bounds.size(); i++) {
        String number = matcher.group(i + 1);
        boolean padded = number.length() == bounds.get(i)[2] || number.charAt(0) != '0';
        if (!padded
            || number.length() > 18
            || Long.parseLong(number) < bounds.get(i)[0]
            || Long.parseLong(number) > bounds.get(i)[1]) {
          return false;
        }
      }
      return true;
    };
  }

  /** What Hadoop's glob has looked at already matches anything. */
  private static String literal(String piece) {
    return piece.matches(".*[*?\\[\\]{}\\\\].*") ? ".*" : Pattern.quote(piece);
  }

  /** First and last number, and the digits of the first. */
  private static long[] bounds(String pattern, MatchResult range) {
    long from = Long.parseLong(range.group(1));
    long to = Long.parseLong(range.group(2));
    if (to < from || to - from >= MAX_RANGE) {
      throw new SettingsException(
          message(
              "Cannot use the path %s because %s is no range of at most %s numbers, smallest first.",
              pattern, range.group(), MAX_RANGE));
    }
    return new long[] {from, to, range.group(1).length()};
  }

  /** WebDataset's {@code {000..002}} as the {@code {000,001,002}} that Hadoop knows. */
  public static String ranges(String pattern) {
    return RANGE
        .matcher(pattern)
        .replaceAll(
            range -> {
              long[] bounds = bounds(pattern, range);
              String[] numbers = new String[(int) (bounds[1] - bounds[0]) + 1];
              String format = "%0" + bounds[2] + "d";
              Arrays.setAll(numbers, i -> String.format(Locale.ROOT, format, bounds[0] + i));
              return "{" + String.join(",", numbers) + "}";
            });
  }
}
