package io.github.kklip.ingest.sources;

import io.github.kklip.store.Split;
import java.util.Set;

/**
 * Why something cannot become a pair: reason and detail of a reject.
 *
 * @param reason one of the constants of this class or of {@link
 *     io.github.kklip.image.ImageRejectedException}
 */
public record Problem(String reason, String detail) {
  /** The file or folder of a row is not there. */
  static final String MISSING_FILE = "missing-file";

  /** A symbolic link that leads out of the folder, or where it was read already. */
  static final String LINK = "link";

  /** A file on local disks whose name is not in the encoding of file names. */
  static final String NAME_ENCODING = "name-encoding";

  /** What is no file of the store that a table may name: a URL, or a place outside of a folder. */
  static final String NOT_A_FILE = "not-a-file";

  /** A file or member that is not of its format, or a folder where a file should be. */
  static final String UNREADABLE = "unreadable";

  /** A source file that ends too early; what came before is kept. */
  static final String CUT_SHORT = "cut-short";

  private static final Set<String> OF_THE_MOMENT = Set.of(MISSING_FILE, UNREADABLE, CUT_SHORT);

  /** A source file without the columns that are needed. */
  public static final String SCHEMA = "schema";

  /** Members of one key, or a row's images, of which not one picture can be chosen. */
  static final String AMBIGUOUS_SAMPLE = "ambiguous-sample";

  /** Members of a sample that stand apart from the others in the archive. */
  static final String MEMBERS_APART = "members-apart";

  public static final String NO_CAPTION = "no-caption";
  static final String NO_IMAGE = "no-image";

  static final String MEMBER_TOO_LARGE = "member-too-large";

  /** A row without a caption, or with a mark of a missing value in its place. */
  static final String CAPTION_MISSING = "caption-missing";

  static final String CAPTION_ENCODING = "caption-encoding";
  public static final String CAPTION_TOO_SHORT = "caption-too-short";
  public static final String CAPTION_TOO_LONG = "caption-too-long";
  static final String JSON_MALFORMED = "json-malformed";
  static final String CSV_MALFORMED = "csv-malformed";
  public static final String IMAGE_TOO_SMALL = "image-too-small";
  public static final String IMAGE_TOO_LARGE = "image-too-large";
  public static final String ASPECT_RATIO = "aspect-ratio";
  public static final String DUPLICATE = "duplicate";
  public static final String NEAR_DUPLICATE = "near-duplicate";

  /** Left out by a source's weight under 1. */
  public static final String SAMPLED_OUT = "sampled-out";

  /** The decoder ended the process: the image is not decoded again. */
  public static final String DECODER_CRASH = "decoder-crash";

  /** Taken down: it does not come back. */
  public static final String REMOVED = "removed";

  /**
   * {@code in-test-split} or {@code in-validation-split}: the image is there, so no row of another
   * split has it.
   */
  public static Problem inSplit(Split split) {
    return new Problem(
        "in-" + split.keyword() + "-split", "the image is in the " + split.keyword() + " split");
  }

  /** Whether the source's file may be better the next time, so that it is looked at again. */
  public static boolean isOfTheMoment(String reason) {
    return OF_THE_MOMENT.contains(reason);
  }
}
