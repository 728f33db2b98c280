package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Properties;

/** The versions that this build was made of. */
final class Version {
  private Version() {}

  /** The value of a key of the build's properties: version, spark, scala, djl, libtorch. */
  static String of(String key) {
    Properties properties = new Properties();
    try (InputStream in = Version.class.getResourceAsStream("/kklip-build.properties")) {
      properties.load(in);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return properties.getProperty(key);
  }

  /** One line. */
  static String text() {
    return message(
        "kklip %s (Spark %s, Scala %s, DJL %s, libtorch %s)%n",
        of("version"), of("spark"), of("scala"), of("djl"), of("libtorch"));
  }
}
