package io.github.kklip.config;

import static io.github.kklip.config.Role.Kind.NONE;
import static io.github.kklip.config.Role.Output.DATASET;
import static io.github.kklip.config.Role.When.IMAGES_ARE_REENCODED;

import java.io.Serializable;
import java.nio.charset.Charset;
import java.nio.charset.IllegalCharsetNameException;
import java.util.List;

/** What {@code ingest} reads, what it rejects, and how it stores the rest. */
public record IngestSettings(
    @Role(value = DATASET, kind = NONE) List<SourceSettings> sources,
    @Key(min = 1, max = 1_000_000) @Role(value = DATASET, kind = NONE) int shardRows,
    @Key(min = 1, max = 64) @Role(value = DATASET, kind = NONE) int rowGroupRows,
    @Key(max = 0.9) @Role(DATASET) double validationFraction,
    @Key(min = 1) @Role(DATASET) double maxExpansion,
    @Key(bytes = true, min = 1 << 16) @Role(value = DATASET, kind = NONE) long splitBytes,
    @Key(flat = true) ImageSettings images,
    @Key(flat = true) CaptionSettings captions,
    @Key(flat = true) ReencodeSettings reencode)
    implements Serializable {

  /** The forms of sources. */
  public enum SourceFormat {
    WEBDATASET,
    CSV,
    JSONL,
    COCO,
    LLAVA,
    PARQUET,
    FOLDER,
    SYNTHETIC,
    SPARK
  }

  /** What the cells of an image column hold. */
  public enum ImageContent {
    /** The bytes of images; a cell that holds something else says what to set. */
    AUTO,
    BYTES,
    BASE64,
    PATH
  }

  /** What a source says of the split of its pairs. */
  public enum SourceSplit {
    /** A hash of the image decides between train and validation. */
    AUTO,
    TRAIN,
    VALIDATION,
    TEST
  }

  /** How texts of several lines are read. */
  public enum CaptionLines {
    /** By what lies beside the source: lines where {@code dataset_type.txt} says retrieval. */
    AUTO,
    /** Each line is a caption. */
    LINES,
    WHOLE
  }

  /**
   * One source of pairs.
   *
   * @param imageColumn column of the image's path (csv), field of it (jsonl), or column of its
   *     bytes (parquet, spark); extensions of the picture in the order of preference (webdataset,
   *     folder)
   * @param captionColumn column (csv, parquet, spark) or field (jsonl) of the caption or list of
   *     captions; extensions and JSON fields in the order of preference (webdataset, folder)
   * @param captions how texts of several lines are read (webdataset, folder)
   * @param imageRoot folder that the names of images are relative to (not those of archives and
   *     folders), and outside of which none is read; empty: that of the table, and any file of its
   *     store
   * @param separator the csv's separator; empty: tab, or comma when the header has no tab
   * @param quote the csv's quote character; empty: none; auto: {@code "}, and none in a {@code
   *     .tsv}
   * @param escape character that makes the next one part of a csv's cell; empty: none
   * @param header whether the csv's first row is its header, or the names of its columns, with
   *     commas between them; where there are none they are 1, 2 and so on
   * @param encoding charset of the csv; auto: UTF-8, or UTF-16 or UTF-32 where its first bytes say
   *     so
   * @param pairs images to make (synthetic)
   * @param followLinks whether symbolic links may lead out of a folder that is read
   * @param weight rows for each pair: 2.5 stands for two of each and a third of half of the images
   * @param split where all pairs go
   * @param imageContent what the cells of the image column hold
   * @param imageIndex which images of a list are samples: a number from 0 on, or {@value #ALL};
   *     empty: the only one, and a row that has several is a reject
   * @param table a table or view of the session's catalog
   * @param query a query over such tables, in place of {@code table}
   * @param idColumn column that names a row in the rejects
   */
  public record SourceSettings(
      SourceFormat format,
      @Key(
              text = Key.TextForm.PATH,
              absent = "\"\"",
              formats = {"webdataset", "csv", "jsonl", "coco", "llava", "parquet", "folder"})
          String path,
      @Key(
              absent = "\"\"",
              formats = {"webdataset", "csv", "jsonl", "parquet", "folder", "spark"})
          String imageColumn,
      @Key(
              absent = "\"\"",
              formats = {"webdataset", "csv", "jsonl", "parquet", "folder", "spark"})
          String captionColumn,
      @Key(
              absent = "auto",
              formats = {"webdataset", "folder"})
          CaptionLines captions,
      @Key(
              text = Key.TextForm.PATH,
              absent = "\"\"",
              formats = {"csv", "jsonl", "coco", "llava", "parquet", "spark"})
          String imageRoot,
      @Key(absent = "\"\"", formats = "csv") String separator,
      @Key(absent = "auto", formats = "csv") String quote,
      @Key(absent = "\"\"", formats = "csv") String escape,
      @Key(absent = "true", formats = "csv") String header,
      @Key(absent = "auto", formats = "csv") String encoding,
      @Key(min = 1, max = 10_000_000, absent = "2000", formats = "synthetic") int pairs,
      @Key(max = 100, absent = "1") double weight,
      @Key(absent = "auto") SourceSplit split,
      @Key(
              absent = "false",
              formats = {"webdataset", "csv", "jsonl", "coco", "llava", "parquet", "folder"})
          boolean followLinks,
      @Key(
              absent = "auto",
              formats = {"parquet", "spark"})
          ImageContent imageContent,
      @Key(
              absent = "\"\"",
              formats = {"parquet", "spark"})
          String imageIndex,
      @Key(absent = "\"\"", formats = "spark") String table,
      @Key(absent = "\"\"", formats = "spark") String query,
      @Key(absent = "\"\"", formats = "spark") String idColumn)
      implements Section.Checked, Serializable {
    /** The value of {@code image-index} that makes a sample of each image. */
    public static final String ALL = "all";

    private static final int LONGEST_NAME = 200;

    /** What reports call the source: its path, its table, or its query in one line. */
    public String name() {
      if (format != SourceFormat.SPARK) {
        return path;
      }
      String name = table.isEmpty() ? query.strip().replaceAll("\\s+", " ") : table;
      return name.length() > LONGEST_NAME ? name.substring(0, LONGEST_NAME) + " ..." : name;
    }

    @Override
    public void check(Section section) {
      if (format == SourceFormat.SPARK) {
        section.require(
            table.isBlank() != query.isBlank(),
            "table",
            "set where query is not, and empty where it is");
        section.require(
            imageContent != ImageContent.PATH || !imageRoot.isEmpty(),
            "image-root",
            "the folder that the paths of the images are relative to");
      } else {
        section.require(
            format == SourceFormat.SYNTHETIC || !path.isEmpty(),
            "path",
            "the path of the " + Keyword.of(format) + " data");
      }
      section.require(
          imageIndex.isEmpty() || imageIndex.equals(ALL) || imageIndex.matches("\\d{1,9}"),
          "image-index",
          "a number from 0 on, or " + ALL);
      if (format == SourceFormat.WEBDATASET || format == SourceFormat.FOLDER) {
        section.require(
            isList(imageColumn), "image-column", "extensions such as jpg;png, with ; between them");
        section.require(
            isList(captionColumn),
            "caption-column",
            "extensions and JSON fields such as txt;caption, with ; between them");
      }
      section.require(
          split != SourceSplit.TEST || weight == 1,
          "weight",
          "1 where split = test, of which every row is there as it was published");
      section.require(isAscii(separator), "separator", "one ASCII character");
      section.require(
          quote.equals("auto") || isAscii(quote), "quote", "one ASCII character, \"\" or auto");
      section.require(isAscii(escape), "escape", "one ASCII character, or \"\"");
      section.require(!header.isBlank(), "header", "true, false or the names of the columns");
      section.require(
          encoding.equals("auto") || isCharset(encoding),
          "encoding",
          "auto or the name of a charset, such as utf-8, utf-16le or windows-1252");
    }

    /** A list of names, which may be empty. */
    private static boolean isList(String names) {
      return names.isEmpty() || names.matches("[^;/\\s][^;/]*(;[^;/]+)*");
    }

    private static boolean isAscii(String text) {
      return text.isEmpty() || (text.length() == 1 && text.charAt(0) < 128);
    }

    private static boolean isCharset(String name) {
      try {
        return Charset.isSupported(name);
      } catch (IllegalCharsetNameException e) {
        return false;
      }
    }
  }

  /** Which images are taken. */
  public record ImageSettings(
      @Key(min = 1, max = 65_535) @Role(DATASET) int minSide,
      @Key(min = 1, max = 1_000_000_000) @Role(DATASET) long maxPixels,
      @Key(bytes = true, min = 1024) @Role(DATASET) long maxBytes,
      @Key(min = 1) @Role(DATASET) double maxAspect,
      @Key(min = -1, max = 16) @Role(DATASET) int nearDuplicateBits)
      implements Serializable {}

  /** Which captions are taken, and in which form. */
  public record CaptionSettings(
      @Key(min = 1, max = 1_000_000) @Role(DATASET) int minCaptionChars,
      @Key(min = 1, max = 10_000_000) @Role(DATASET) int maxCaptionChars,
      @Key(bytes = true, min = 1024) @Role(DATASET) long maxCaptionBytes,
      @Role(DATASET) boolean normaliseCaptions)
      implements Serializable {}

  /** What images are stored as that are made smaller. */
  public record ReencodeSettings(
      @Key(max = 65_535) @Role(DATASET) int reencodeSide,
      @Role(value = DATASET, when = IMAGES_ARE_REENCODED) ReencodeFormat reencodeFormat,
      @Key(min = 1, max = 100) @Role(value = DATASET, when = IMAGES_ARE_REENCODED)
          int reencodeQuality)
      implements Serializable {}

  /** The formats that images are stored in anew. */
  public enum ReencodeFormat {
    JPEG(65_535),
    WEBP(16_383);

    private final int longestSide;

    ReencodeFormat(int longestSide) {
      this.longestSide = longestSide;
    }

    /** The format's limit, in pixels. */
    public int longestSide() {
      return longestSide;
    }
  }
}
