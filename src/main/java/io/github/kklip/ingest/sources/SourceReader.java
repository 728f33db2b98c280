package io.github.kklip.ingest.sources;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Settings;
import java.io.IOException;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** Reads sources of one format. */
public interface SourceReader {
  /**
   * The pieces of one file that tasks read on their own. A file that cannot be cut, also because it
   * is damaged, is one piece, whose reading tells what is wrong.
   */
  List<Unit> plan(Configuration configuration, Unit file) throws IOException;

  /** Opens one piece. */
  Members open(Configuration configuration, Unit unit) throws IOException;

  /** The reader of a source. */
  static SourceReader of(IngestSettings.SourceSettings source, Settings settings) {
    return switch (source.format()) {
      case WEBDATASET -> new WebDatasetReader(source.captionColumn(), settings.ingest());
      case CSV -> new CsvReader(source, settings.ingest().images().maxBytes());
      case PARQUET -> new ParquetReader(source, settings.ingest().images().maxBytes());
      case FOLDER -> new FolderReader(settings.ingest().images().maxBytes());
      case SYNTHETIC -> new SyntheticReader(settings.seed(), source.pairs());
    };
  }
}
