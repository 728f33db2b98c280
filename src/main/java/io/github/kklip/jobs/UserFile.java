package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import com.typesafe.config.Config;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.SmallFile;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import java.util.function.Supplier;
import java.util.regex.Pattern;
import org.apache.hadoop.conf.Configuration;

/**
 * A file that a word of the command line names: a path of this machine, or a URI of any file system
 * that Hadoop knows, as for folders in the settings.
 */
record UserFile(String text) {
  private static final Pattern LOCAL_URI = Pattern.compile("file:/.*");

  /** Two letters at least: one is a drive. */
  private static final Pattern URI_OF_OTHERS = Pattern.compile("[A-Za-z][A-Za-z0-9+.-]+:/.*");

  /** Its path, when it is on this machine. */
  Optional<Path> local() {
    if (LOCAL_URI.matcher(text).matches()) {
      try {
        return Optional.of(
            Path.of(URI.create(text.replaceFirst("^file:/+", "file:///")).getPath()));
      } catch (IllegalArgumentException e) {
        throw new SettingsException(
            message("Cannot use %s because it is no URI of a file (%s).", text, e.getMessage()), e);
      }
    }
    return URI_OF_OTHERS.matcher(text).matches() ? Optional.empty() : Optional.of(Path.of(text));
  }

  /** Its path, when it is somewhere else. */
  org.apache.hadoop.fs.Path remote(Configuration configuration) {
    return Storage.path(text, configuration);
  }

  /**
   * The settings in it.
   *
   * @param configuration asked for only when it is somewhere else
   * @throws SettingsException when it cannot be read
   */
  Config config(Supplier<Configuration> configuration) {
    Optional<Path> path = local();
    if (path.isPresent()) {
      return Settings.file(path.get());
    }
    org.apache.hadoop.fs.Path file = remote(configuration.get());
    try (InputStream in = Storage.of(configuration.get(), file).open(file)) {
      byte[] bytes = SmallFile.read(in, text, ModelLimits.CONFIG_BYTES);
      return Settings.text(text, new String(bytes, StandardCharsets.UTF_8));
    } catch (FileNotFoundException e) {
      throw new SettingsException(
          message("Cannot read the configuration file %s: there is no such readable file.", text),
          e);
    } catch (IOException e) {
      throw new SettingsException(
          message(
              "Cannot read the configuration file %s because of %s. Check the path, its rights and its storage.",
              text, e.getMessage()),
          e);
    }
  }

  @Override
  public String toString() {
    return text;
  }
}
