package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Message.shown;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.ingest.sources.Member.Picture;
import io.github.kklip.store.publication.ContentKind;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.attribute.BasicFileAttributes;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.Objects;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * The images that the rows of a table name. A table is a stranger's text, so it decides neither
 * where the cluster connects nor, where {@code image-root} is given, which folder it reads:
 *
 * <ul>
 *   <li>a relative name is one in the folder {@code image-root}, or else in the table's;
 *   <li>an absolute path, or a URI, must be on the same store, that is of the same scheme and
 *       authority, as that folder; a path without a scheme is one of Hadoop's default file system,
 *       as everywhere;
 *   <li>where {@code image-root} is given, nothing outside of it is read, neither by {@code ..} nor
 *       by an absolute path. Without it {@code ../images/1.jpg} is as good as the absolute path of
 *       the same file;
 *   <li>everything else, such as {@code http:} and {@code data:}, is a reject, {@code not-a-file}.
 * </ul>
 */
final class ImageFiles {
  /** Two letters at least: {@code C:} is a drive. */
  private static final Pattern SCHEME =
      Pattern.compile("([A-Za-z][A-Za-z0-9+.-]+):.*", Pattern.DOTALL);

  /** They are schemes without a slash as well; other names may hold a colon. */
  private static final Set<String> SCHEMES_BY_THEMSELVES =
      Set.of("http", "https", "ftp", "ftps", "data", "file");

  private final Configuration configuration;
  private final URI root;
  private final boolean bounded;
  private final long maxBytes;

  private ImageFiles(Configuration configuration, URI root, boolean bounded, long maxBytes) {
    this.configuration = configuration;
    this.root = root;
    this.bounded = bounded;
    this.maxBytes = maxBytes;
  }

  /** The images of a table. */
  static ImageFiles of(
      Configuration configuration,
      IngestSettings.SourceSettings source,
      Path table,
      long maxBytes) {
    boolean bounded = !source.imageRoot().isEmpty();
    Path folder =
        bounded
            ? Storage.path(source.imageRoot(), configuration)
            : Storage.path(table.getParent().toString(), configuration);
    return new ImageFiles(configuration, folder.toUri(), bounded, maxBytes);
  }

  /**
   * The picture that a row names.
   *
   * @throws IOException when it cannot be read
   * @throws RawInput.Failure when the file system fails
   */
  Picture picture(String cell) throws IOException {
    String name = cell.strip();
    if (name.isEmpty()) {
      return broken(name, Problem.NO_IMAGE, "the row names no image");
    }
    Path path;
    try {
      path = path(name);
      if (isDevice(path)) {
        return broken(name, Problem.NOT_A_FILE, "it is a device or a pipe, not a file");
      }
    } catch (NotAFileException e) {
      return broken(name, Problem.NOT_A_FILE, e.getMessage());
    } catch (IllegalArgumentException e) {
      return broken(name, Problem.MISSING_FILE, "not a path: " + e.getMessage());
    }
    try {
      return MemberContent.picture(RawInput.open(configuration, path, 0), shown(name), maxBytes);
    } catch (RawInput.OpeningException e) {
      return Picture.broken(shown(name), e.problem());
    }
  }

  private static Picture broken(String name, String reason, String detail) {
    return Picture.broken(shown(name), new Problem(reason, detail));
  }

  private static final class NotAFileException extends Exception {
    private static final long serialVersionUID = 1L;

    NotAFileException(String message) {
      super(message);
    }
  }

  /** The file that a name stands for. */
  private Path path(String name) throws NotAFileException {
    refuseText(name);
    Matcher scheme = SCHEME.matcher(name);
    boolean uri =
        scheme.matches()
            && (name.startsWith("/", scheme.end(1) + 1)
                || SCHEMES_BY_THEMSELVES.contains(scheme.group(1).toLowerCase(Locale.ROOT)));
    if (!uri && !name.startsWith("/")) {
      return inside(root.getPath() + "/" + name, name);
    }
    if (uri && !scheme.group(1).equalsIgnoreCase(root.getScheme())) {
      throw notOnTheStore(name);
    }
    if (scheme.matches() && !name.startsWith("/", scheme.end(1) + 1)) {
      throw notOnTheStore(name);
    }
    String authority = uri ? new Path(name).toUri().getAuthority() : null;
    if (authority != null && !Objects.equals(lower(root.getAuthority()), lower(authority))) {
      throw notOnTheStore(name);
    }
    Path path;
    try {
      path = Storage.path(name, configuration);
    } catch (SettingsException e) {
      // A password, of which the message says nothing.
      throw new NotAFileException(e.getMessage());
    }
    URI absolute = path.toUri();
    if (!root.getScheme().equalsIgnoreCase(absolute.getScheme())
        || !Objects.equals(lower(root.getAuthority()), lower(absolute.getAuthority()))) {
      throw notOnTheStore(name);
    }
    return inside(absolute.getPath(), name);
  }

  private static String lower(String text) {
    return text == null || text.isEmpty() ? null : text.toLowerCase(Locale.ROOT);
  }

  private NotAFileException notOnTheStore(String name) {
    return new NotAFileException(
        message(
            "%s is not on the store of %s, and nothing is fetched from elsewhere: copy the images beside the table, or set image-root to their folder and name them relative to it",
            shown(name), folder()));
  }

  private String folder() {
    return root.getScheme()
        + "://"
        + (root.getAuthority() == null ? "" : root.getAuthority())
        + root.getPath();
  }

  /** The text of an image in place of its name. */
  private static void refuseText(String name) throws NotAFileException {
    if (name.length() < 200) {
      return;
    }
    Optional<ContentKind> kind = ContentKind.of(name.getBytes(StandardCharsets.UTF_8));
    if (kind.isPresent() && kind.get() == ContentKind.BASE64_IMAGE) {
      throw new NotAFileException(kind.get().sentence());
    }
  }

  private Path inside(String path, String name) throws NotAFileException {
    Deque<String> parts = new ArrayDeque<>();
    for (String part : path.split("/", -1)) {
      if (part.equals("..")) {
        parts.pollLast();
      } else if (!part.isEmpty() && !part.equals(".")) {
        parts.addLast(part);
      }
    }
    String normal = "/" + String.join("/", parts);
    String within = root.getPath().endsWith("/") ? root.getPath() : root.getPath() + "/";
    if (bounded && !normal.startsWith(within)) {
      throw new NotAFileException(message("%s leads out of image-root, %s", shown(name), folder()));
    }
    return new Path(root.getScheme(), root.getAuthority(), normal);
  }

  /** A local name may be that of a pipe, whose reading has no end. */
  private static boolean isDevice(Path path) {
    if (!"file".equals(path.toUri().getScheme())) {
      return false;
    }
    try {
      return Files.readAttributes(
              java.nio.file.Path.of(path.toUri().getPath()), BasicFileAttributes.class)
          .isOther();
    } catch (IOException e) {
      // Opening it tells what is wrong.
      return false;
    }
  }
}
