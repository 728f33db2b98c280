package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Settings;

/** The formats that sources have. A new one gets its {@link SourceReader} here. */
public final class SourceFormats {
  private SourceFormats() {}

  /** The reader of a piece of a source. */
  public static SourceReader reader(
      Unit unit, IngestSettings.SourceSettings source, Settings settings) {
    return LinkReader.reads(unit) ? new LinkReader() : reader(source, settings);
  }

  /** The reader of a source. */
  public static SourceReader reader(IngestSettings.SourceSettings source, Settings settings) {
    return switch (source.format()) {
      case WEBDATASET -> new WebDatasetReader(source, settings.ingest());
      case CSV -> new CsvReader(source, settings.ingest());
      case JSONL -> new JsonLinesReader(source, settings.ingest());
      case COCO -> new JsonArrayReader(new CocoForm(), source, settings.ingest());
      case LLAVA -> new JsonArrayReader(new LlavaForm(), source, settings.ingest());
      case PARQUET -> new ParquetReader(source, settings.ingest().images().maxBytes());
      case FOLDER -> new FolderReader(source, settings.ingest());
      case SPARK ->
          throw new IllegalStateException(
              message("A table is read within Spark, not as files: %s.", source.name()));
      case SYNTHETIC -> new SyntheticReader(settings.seed(), source.pairs());
    };
  }
}
