package io.github.kklip.ingest.sources;

import java.util.Locale;
import java.util.Set;
import org.apache.hadoop.fs.Path;

/**
 * What desktops, notebooks and jobs leave beside people's data: hidden files and folders
 * (AppleDouble files {@code ._*}, {@code .DS_Store}, {@code .ipynb_checkpoints}, {@code .git}), and
 * a few names. One rule for members of archives, files of folders, listings of sources and class
 * folders.
 */
public final class Clutter {
  private static final Set<String> NAMES =
      Set.of(
          "__macosx",
          "thumbs.db",
          "desktop.ini",
          "icon\r",
          "@eadir",
          "lost+found",
          "$recycle.bin",
          "system volume information",
          "_success",
          "_temporary",
          "_delta_log",
          "_change_data",
          "_spark_metadata");

  private Clutter() {}

  /**
   * Whether a part of a path, relative to what a person named, is clutter.
   *
   * @param path with {@code /} between its parts
   */
  public static boolean is(String path) {
    int from = 0;
    while (from < path.length()) {
      int slash = path.indexOf('/', from);
      int to = slash < 0 ? path.length() : slash;
      if (isClutter(path.substring(from, to))) {
        return true;
      }
      from = to + 1;
    }
    return false;
  }

  /** The same of a file that was listed in a folder, whose own path a person named. */
  public static boolean is(Path folder, Path file) {
    String root = folder.toUri().getPath();
    String path = file.toUri().getPath();
    return is(path.startsWith(root) ? path.substring(root.length()) : file.getName());
  }

  private static boolean isClutter(String part) {
    boolean hidden = part.startsWith(".") && !part.equals(".") && !part.equals("..");
    return hidden || NAMES.contains(part.toLowerCase(Locale.ROOT));
  }
}
