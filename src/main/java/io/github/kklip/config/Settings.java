package io.github.kklip.config;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Role.Kind.NONE;
import static io.github.kklip.config.Role.Kind.ROUNDING;
import static io.github.kklip.config.Role.Output.CONCEPTS;
import static io.github.kklip.config.Role.Output.DATASET;
import static io.github.kklip.config.Role.Output.RUN;

import com.typesafe.config.Config;
import com.typesafe.config.ConfigException;
import com.typesafe.config.ConfigFactory;
import com.typesafe.config.ConfigParseOptions;
import com.typesafe.config.ConfigRenderOptions;
import java.io.Serializable;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.function.Supplier;

/**
 * All settings of KKLIP, read once and checked as they are read. {@code reference.conf} holds every
 * key with its default and its documentation; a key that is not there is refused by name. A key is
 * one component of one of these records, and nowhere else is it declared: {@link Key} gives its
 * range (from 0 up where it says nothing), {@link Role} what it means to each output.
 */
public record Settings(
    @Role(value = DATASET, kind = NONE) @Role({CONCEPTS, RUN}) long seed,
    @Key(text = Key.TextForm.PATH) @Role(value = RUN, content = "its settings") String dataset,
    @Key(max = 1024) @Role(value = RUN, kind = ROUNDING, content = "in use") int threads,
    @Key(flat = true) FolderSettings folders,
    IngestSettings ingest,
    TokenizerSettings tokenizer,
    TeacherSettings teacher,
    ConceptSettings concepts,
    StudentSettings student,
    TrainSettings train,
    EvaluateSettings evaluate,
    ExportSettings export)
    implements Serializable {

  /** How long a lease outlives the last heartbeat of its holder. */
  public Duration leaseExpiry() {
    return folders.leaseExpiry();
  }

  /** What {@code clean} deletes. */
  public CleanSettings clean() {
    return folders.clean();
  }

  /**
   * Reads the settings from files and assignments over the defaults.
   *
   * @param files HOCON files; a later one wins
   * @param assignments {@code KEY=VALUE} with KEY relative to {@code kklip.}; they win over the
   *     files
   * @throws SettingsException on a missing file, an unknown key, or a value out of its range
   */
  public static Settings load(List<Path> files, List<String> assignments) {
    return of(files.stream().map(Settings::file).toList(), assignments);
  }

  /** As {@link #load}, of what files hold. */
  public static Settings of(List<Config> files, List<String> assignments) {
    Config config = ConfigFactory.empty();
    for (Config file : files) {
      config = file.withFallback(config);
    }
    return of(assigned(assignments).withFallback(config));
  }

  /**
   * What a HOCON file holds.
   *
   * @throws SettingsException when it cannot be read
   */
  public static Config file(Path file) {
    if (!Files.isReadable(file)) {
      throw new SettingsException(
          message("Cannot read the configuration file %s: there is no such readable file.", file));
    }
    return parse(file.toString(), () -> ConfigFactory.parseFile(file.toFile(), strict()));
  }

  /**
   * What a HOCON text holds.
   *
   * @param source where it is from, for errors
   */
  public static Config text(String source, String text) {
    return parse(
        source, () -> ConfigFactory.parseString(text, strict().setOriginDescription(source)));
  }

  private static Config assigned(List<String> assignments) {
    Config config = ConfigFactory.empty();
    for (String assignment : assignments) {
      int equals = assignment.indexOf('=');
      if (equals <= 0) {
        throw new SettingsException(
            message("Cannot use --set %s: it must be KEY=VALUE.", assignment));
      }
      config = parse("--set " + assignment, () -> assign(assignment, equals)).withFallback(config);
    }
    return config;
  }

  /** What {@code reference.conf} says, read once. */
  private static final class Defaults {
    static final Config CONFIG =
        ConfigFactory.parseResources(Settings.class.getClassLoader(), "reference.conf");
  }

  /** Settings from a configuration without defaults, {@code kklip.} included. */
  public static Settings of(Config user) {
    // Without the system properties that ConfigFactory.load() would let in: only what was given
    // counts.
    refuseUnknown(user);
    Config resolved =
        parse("the configuration", () -> user.withFallback(Defaults.CONFIG).resolve());
    return new Section(resolved.getConfig("kklip"), "kklip").read(Settings.class);
  }

  /**
   * The settings as HOCON that {@link #load} reads back to equal ones.
   *
   * @param onlyChanged leaves out what has its default
   */
  public String toHocon(boolean onlyChanged) {
    return HoconText.of(this, onlyChanged ? of(ConfigFactory.empty()) : null);
  }

  /** {@code value}, or an error that says which key has to be set. */
  public static String required(String value, String key) {
    if (value.isEmpty()) {
      throw new SettingsException(
          message(
              "Cannot go on without kklip.%s: it is empty. Set it, for example by --set %s=...",
              key, key));
    }
    return value;
  }

  private static void refuseUnknown(Config user) {
    List<String> known = SettingKey.ALL.stream().map(SettingKey::path).toList();
    for (String path : user.entrySet().stream().map(Map.Entry::getKey).sorted().toList()) {
      if (!path.startsWith("kklip.")) {
        throw new SettingsException(
            message("Cannot use the setting %s: every key stands inside kklip { }.", path));
      }
      String key = path.substring("kklip.".length());
      if (known.stream().anyMatch(k -> k.startsWith(key + "."))) {
        throw new SettingsException(
            message(
                "Cannot use %s = %s: it is no key but a section, %s { ... }.",
                path, user.getValue(path).render(ConfigRenderOptions.concise()), key));
      }
      if (!known.contains(key)) {
        throw new SettingsException(KeyHint.unknown("kklip.", key, known));
      }
    }
  }

  private static Config assign(String assignment, int equals) {
    return ConfigFactory.parseString(
        "kklip."
            + assignment.substring(0, equals)
            + " = "
            + quoted(assignment.substring(equals + 1)));
  }

  /**
   * Paths such as s3a://bucket/x and C:x would end a HOCON value at // or fail at ':'; what is not
   * plain HOCON is quoted.
   */
  private static String quoted(String value) {
    String trimmed = value.trim();
    boolean hocon = trimmed.startsWith("[") || trimmed.startsWith("{") || trimmed.startsWith("\"");
    return hocon ? value : '"' + trimmed.replace("\\", "\\\\").replace("\"", "\\\"") + '"';
  }

  private static ConfigParseOptions strict() {
    return ConfigParseOptions.defaults().setAllowMissing(false);
  }

  private static Config parse(String what, Supplier<Config> parser) {
    try {
      return parser.get();
    } catch (ConfigException e) {
      throw new SettingsException(message("Cannot read %s: %s", what, e.getMessage()), e);
    }
  }
}
