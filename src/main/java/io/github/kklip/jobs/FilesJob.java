package io.github.kklip.jobs;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFiles;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/** Lists the files of one kind that the dataset is made of, without Spark. */
final class FilesJob implements Job<FilesSummary> {
  @Override
  public String purpose() {
    return "Lists the exact files of a kind, for other readers: pairs, teachers/NAME, concepts/NAME ...";
  }

  @Override
  public List<String> settings() {
    return List.of("dataset");
  }

  @Override
  public List<String> words() {
    return List.of("[DATASET]", "KIND");
  }

  @Override
  public boolean isChecked() {
    return false;
  }

  @Override
  public FilesSummary run(JobContext context) throws IOException {
    List<String> words = context.arguments().words();
    if (words.isEmpty()) {
      throw new SettingsException(
          "Cannot list files without a kind. Give one: kklip files [DATASET] KIND, such as pairs or teachers/NAME.");
    }
    String kind = words.get(words.size() - 1);
    String dataset =
        words.size() > 1
            ? words.get(0)
            : Settings.required(context.settings().dataset(), "dataset");
    Configuration configuration = context.hadoopBeforeSpark();
    DatasetFolder folder = new DatasetFolder(dataset, configuration);
    DatasetManifest manifest = folder.requireManifest();
    List<String> paths = new ArrayList<>();
    for (Path file : DatasetFiles.of(folder, manifest, kind)) {
      paths.add(Storage.isLocal(configuration, file) ? file.toUri().getPath() : file.toString());
    }
    return new FilesSummary(folder.root().toString(), kind, manifest.number(), paths.size(), paths);
  }

  @Override
  public List<String> lines(FilesSummary result) {
    return result.paths();
  }
}
