package io.github.kklip.check;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Settings;
import io.github.kklip.export.HuggingFaceExport;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.util.List;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Looks whether other jobs write to what the stages of a job write to. That is no problem yet: they
 * may have ended by the time that the stage begins, and only the stage can tell whether who holds a
 * lease still lives.
 */
final class HeldLeases {
  private final Findings findings;
  private final Settings settings;
  private final Configuration configuration;

  HeldLeases(Findings findings, Settings settings, Configuration configuration) {
    this.findings = findings;
    this.settings = settings;
    this.configuration = configuration;
  }

  /** A folder that has a lease. */
  private interface Folder {
    Path path() throws IOException;
  }

  void look(List<String> stages, Optional<DatasetFolder> dataset) {
    if (dataset.isPresent()) {
      DatasetFolder there = dataset.get();
      // Also for stages that write to a part: the pairs that they read may change under them.
      look(settings.dataset(), there::root);
      if (stages.contains("tokenizer")) {
        look(settings.dataset(), there::tokenizers);
      }
      if (stages.contains("embed")) {
        look(settings.dataset(), () -> there.teacher(settings.teacher().name()));
      }
      if (stages.contains("cluster")) {
        look(settings.dataset(), () -> there.concepts(settings.concepts().name()));
      }
    }
    String output = settings.train().output();
    if (stages.contains("train") && !output.isEmpty()) {
      look(output, () -> Storage.path(output, configuration));
    }
    String export = settings.export().path();
    if (stages.contains("export") && !(export.isEmpty() && output.isEmpty())) {
      look(
          export.isEmpty() ? output : export,
          () -> HuggingFaceExport.target(settings, configuration));
    }
  }

  private void look(String value, Folder folder) {
    findings
        .lookQuietly(
            value,
            () -> {
              Path path = folder.path();
              return Lease.holder(configuration, path)
                  .map(
                      holder ->
                          message(
                              "The folder %s is being written to by %s. A stage that writes to it is refused meanwhile. Wait for the end of that job, or stop it; if it died, its lease expires by itself.",
                              path, holder))
                  .orElse(null);
            })
        .ifPresent(findings::warn);
  }
}
