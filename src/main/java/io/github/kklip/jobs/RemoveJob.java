package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.upkeep.RemoveResult;
import io.github.kklip.upkeep.RemoveStage;
import java.io.IOException;
import java.util.List;
import java.util.SortedSet;
import org.apache.hadoop.conf.Configuration;

/** Takes rows out of the dataset, for good. */
final class RemoveJob implements Job<RemoveResult> {
  private static final String IDS = "--ids";

  @Override
  public String purpose() {
    return "Takes rows out of the dataset for good, by their ids or those of their images.";
  }

  @Override
  public List<String> settings() {
    return List.of("dataset", "threads", "lease-expiry", "ingest.row-group-rows");
  }

  @Override
  public List<JobOption> options() {
    return List.of(
        new JobOption(IDS, "FILE", "Ids of rows or of images, one a line. It must be given."));
  }

  @Override
  public RemoveResult run(JobContext context) throws IOException {
    String file = context.arguments().options().get(IDS);
    if (file == null) {
      throw new SettingsException(
          "Cannot remove rows without their ids. Give a file of them by --ids FILE, one a line.");
    }
    Configuration configuration = context.hadoopBeforeSpark();
    // What is refused is refused before Spark starts.
    SortedSet<String> ids = RemoveStage.ids(configuration, file);
    var unused =
        new DatasetFolder(Settings.required(context.settings().dataset(), "dataset"), configuration)
            .requireManifest();
    return RemoveStage.run(context.javaSpark(), context.settings(), ids);
  }
}
