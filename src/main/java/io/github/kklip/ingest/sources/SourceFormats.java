package io.github.kklip.ingest.sources;

import io.github.kklip.config.Settings;

/** The formats that sources have. A new one gets its {@link SourceReader} here. */
public final class SourceFormats {
  private SourceFormats() {}

  /** The reader of a source. */
  public static SourceReader reader(Settings.Source source, Settings settings) {
    return switch (source.format()) {
      case WEBDATASET -> new WebDatasetReader(source.captionColumn(), settings.ingest());
      case CSV -> new CsvReader(source, settings.ingest().maxBytes());
      case PARQUET -> new ParquetReader(source, settings.ingest().maxBytes());
      case FOLDER -> new FolderReader(settings.ingest().maxBytes());
      case SYNTHETIC -> new SyntheticReader(settings.seed(), source.pairs());
    };
  }
}
