package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings.ImageContent;
import io.github.kklip.config.IngestSettings.SourceSettings;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.Member.Picture;
import io.github.kklip.store.publication.ContentKind;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Makes the samples of one row of a table out of its cells: which of its images are taken, and what
 * the cells hold of them.
 */
public final class RowSamples {
  private final SourceSettings source;
  private final long maxBytes;

  /** Null where cells hold no paths. */
  private final ImageFiles files;

  private RowSamples(SourceSettings source, long maxBytes, ImageFiles files) {
    this.source = source;
    this.maxBytes = maxBytes;
    this.files = files;
  }

  /**
   * The samples of the rows of a file.
   *
   * @param table the file, in whose folder paths are looked for without an {@code image-root}
   * @param maxBytes of an image
   */
  static RowSamples ofFile(
      Configuration configuration, SourceSettings source, Path table, long maxBytes) {
    return new RowSamples(
        source,
        maxBytes,
        source.imageContent() == ImageContent.PATH
            ? ImageFiles.of(configuration, source, table, maxBytes)
            : null);
  }

  /** The samples of the rows of a table that is no file: its paths have an {@code image-root}. */
  public static RowSamples ofTable(
      Configuration configuration, SourceSettings source, long maxBytes) {
    return ofFile(configuration, source, new Path("/none"), maxBytes);
  }

  /**
   * The samples of a row, one at least.
   *
   * @param key that names the row
   * @param images the cells of its images; null where one is null
   * @param captions those that are not null
   * @throws IOException when a file that the row names cannot be read
   */
  public List<Member> of(String key, List<byte[]> images, List<byte[]> captions)
      throws IOException {
    List<Caption> texts = new ArrayList<>();
    for (int i = 0; i < captions.size(); i++) {
      texts.add(MemberContent.caption(captions.size() == 1 ? "" : "caption " + i, captions.get(i)));
    }
    if (source.imageIndex().equals(SourceSettings.ALL) && images.size() > 1) {
      List<Member> members = new ArrayList<>();
      for (int i = 0; i < images.size(); i++) {
        members.add(sample(key + " image " + i, picture(images.get(i)), texts));
      }
      return members;
    }
    if (source.imageIndex().isEmpty() && images.size() > 1) {
      return List.of(
          Member.problem(
              key,
              Problem.AMBIGUOUS_SAMPLE,
              message(
                  "the row has %s images: set image-index to the number of one, from 0 on, or to %s",
                  images.size(), SourceSettings.ALL)));
    }
    return List.of(sample(key, chosen(images), texts));
  }

  private Picture chosen(List<byte[]> images) throws IOException {
    boolean numbered =
        !source.imageIndex().isEmpty() && !source.imageIndex().equals(SourceSettings.ALL);
    int index = numbered ? Integer.parseInt(source.imageIndex()) : 0;
    return index < images.size() || images.isEmpty()
        ? picture(images.isEmpty() ? null : images.get(index))
        : broken(
            Problem.NO_IMAGE,
            message("the row has %s images, none has the number %s", images.size(), index));
  }

  private static Member sample(String key, Picture picture, List<Caption> captions) {
    return Member.of(key, picture, captions);
  }

  private static Picture broken(String reason, String detail) {
    return Picture.broken("", new Problem(reason, detail));
  }

  private Picture picture(byte[] cell) throws IOException {
    if (cell == null) {
      return broken(Problem.NO_IMAGE, "the image is null");
    }
    return switch (source.imageContent()) {
      case AUTO -> {
        Problem problem = otherThanBytes(cell);
        yield problem == null ? bytes(cell) : Picture.broken("", problem);
      }
      case BYTES -> bytes(cell);
      case BASE64 -> base64(cell);
      case PATH -> {
        String path = MemberContent.utf8(cell);
        yield path == null
            ? broken(
                Problem.SCHEMA,
                "the image is bytes, not the path of a file: set image-content = bytes")
            : files.picture(path);
      }
    };
  }

  /** What to set where the cell holds an image in another form; null where it may be bytes. */
  private static Problem otherThanBytes(byte[] cell) {
    // The images that are decoded and begin as text does are known by their first letters.
    if (cell.length == 0 || cell[0] < ' ') {
      return null;
    }
    byte[] head = Arrays.copyOf(cell, Math.min(cell.length, ContentKind.HEAD_BYTES));
    ContentKind kind = ContentKind.of(head).orElse(null);
    if (kind == ContentKind.BASE64_IMAGE || kind == ContentKind.DATA_URI) {
      return new Problem(
          Problem.SCHEMA,
          message("the image is %s, not its bytes: set image-content = base64", kind.what()));
    }
    if (kind == ContentKind.URL) {
      return new Problem(
          Problem.NOT_A_FILE, message("the image is %s: %s", kind.what(), kind.advice()));
    }
    return kind == ContentKind.PATH
        ? new Problem(
            Problem.SCHEMA,
            message("the image is %s, not its bytes: set image-content = path", kind.what()))
        : null;
  }

  private Picture bytes(byte[] cell) {
    return cell.length > maxBytes
        ? Picture.broken("", MemberContent.tooLarge(maxBytes))
        : Picture.of("", cell);
  }

  /** Standard or URL-safe, in lines or one, with the start of a {@code data:} URI or without. */
  private Picture base64(byte[] cell) {
    // Line ends make it longer.
    if (cell.length / 2 > maxBytes) {
      return Picture.broken("", MemberContent.tooLarge(maxBytes));
    }
    String text = new String(cell, StandardCharsets.ISO_8859_1);
    if (text.startsWith("data:")) {
      text = text.substring(text.indexOf(',') + 1);
    }
    text = text.replaceAll("\\s", "").replace('-', '+').replace('_', '/');
    try {
      return bytes(Base64.getDecoder().decode(text));
    } catch (IllegalArgumentException e) {
      return broken(
          ImageRejectedException.UNDECODABLE, message("it is no base64: %s", e.getMessage()));
    }
  }
}
