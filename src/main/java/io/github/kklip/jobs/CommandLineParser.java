package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.SettingsException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import org.apache.commons.text.similarity.LevenshteinDistance;
import picocli.AutoComplete;
import picocli.CommandLine;
import picocli.CommandLine.Help;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Model.OptionSpec;
import picocli.CommandLine.Model.PositionalParamSpec;
import picocli.CommandLine.ParseResult;

/**
 * The command line: {@code kklip JOB [OPTION]... [-- SPARK-SUBMIT-ARGUMENT...]}, {@code kklip help
 * [JOB]}, {@code kklip completion}. Nothing of Spark is loaded by it.
 */
final class CommandLineParser {
  private static final String NAME = "kklip";
  private static final String HELP = "help";
  private static final String COMPLETION = "completion";
  private static final int WIDTH = 110;

  private final Map<String, Job<?>> jobs;
  private final CommandLine root;

  CommandLineParser(Map<String, Job<?>> jobs) {
    this.jobs = jobs;
    CommandSpec spec = CommandSpec.create().name(NAME);
    spec.addOption(flag("-h", "--help").usageHelp(true).description("Show this help.").build());
    spec.addOption(
        flag("-V", "--version").versionHelp(true).description("Show the version.").build());
    spec.usageMessage()
        .width(WIDTH)
        .description("Trains CLIP with knowledge from Llama 2, as a distributed Spark job.")
        .customSynopsis(
            "kklip JOB [--conf FILE]... [--set KEY=VALUE]... [OPTION]...", "kklip help JOB")
        .commandListHeading("%nJobs:%n")
        .optionListHeading("%nOptions:%n")
        .footer(
            "",
            "Exit status: 0 done, 1 failed, 2 refused (arguments, settings or data cannot be used),",
            "143 stopped by a signal in good order. See kklip help JOB for a job's options and settings.");
    jobs.forEach((name, job) -> spec.addSubcommand(name, new CommandLine(command(name, job))));
    spec.addSubcommand(HELP, new CommandLine(help()));
    spec.addSubcommand(COMPLETION, new CommandLine(completion()));
    root =
        new CommandLine(spec)
            .setExpandAtFiles(false)
            .setOverwrittenOptionsAllowed(true)
            .setUnmatchedArgumentsAllowed(true);
  }

  private static OptionSpec.Builder flag(String... names) {
    return OptionSpec.builder(names).type(boolean.class).arity("0");
  }

  private static CommandSpec command(String name, Job<?> job) {
    CommandSpec spec = CommandSpec.create().name(name);
    spec.addOption(
        // The type is what the completion of shells goes by.
        list("--conf", "FILE", Path.class)
            .converters(UserFile::new)
            .description(
                "Settings in HOCON: a path, or a URI as for folders. May be repeated; a later file wins.")
            .build());
    spec.addOption(
        list("--set", "KEY=VALUE", String.class)
            .description(
                "One setting, its key relative to kklip. May be repeated; wins over files.")
            .completionCandidates(() -> SettingsHelp.assignments().iterator())
            .build());
    spec.addOption(
        one("--result", "FILE", Path.class)
            .converters(UserFile::new)
            .description(
                "Write what the RESULT line says into this file, too: a path, or a URI as for folders.")
            .build());
    spec.addOption(
        one("--master", "URL", String.class)
            .description(
                "Spark's master. Without it Spark runs embedded, one process for each rank.")
            .build());
    spec.addOption(
        list("--spark", "KEY=VALUE", String.class)
            .description("One setting of Spark. May be repeated.")
            .build());
    if (!name.equals("demo")) {
      spec.addOption(
          flag("--submit")
              .description("Run through spark-submit; what follows -- goes to spark-submit.")
              .build());
    }
    for (JobOption option : job.options()) {
      spec.addOption(
          (option.label().isEmpty()
                  ? flag(option.name())
                  : one(option.name(), option.label(), String.class))
              .description(option.description())
              .build());
    }
    if (!job.words().isEmpty()) {
      spec.addPositional(
          PositionalParamSpec.builder()
              .paramLabel(String.join(" ", job.words()))
              .type(List.class)
              .auxiliaryTypes(String.class)
              .index("0.." + (job.words().size() - 1))
              .arity("0..1")
              .hidden(true)
              .build());
    }
    spec.addOption(flag("--stacktrace").description("Show an error with its stack trace.").build());
    spec.addOption(flag("-h", "--help").usageHelp(true).description("Show this help.").build());
    spec.usageMessage()
        .width(WIDTH)
        .description(job.purpose())
        .customSynopsis(synopsis(name, job))
        .optionListHeading("%nOptions:%n")
        .sortOptions(false);
    return spec;
  }

  private static String synopsis(String name, Job<?> job) {
    List<String> words = new ArrayList<>(List.of("kklip", name));
    words.addAll(job.words());
    words.add("[OPTION]... [-- SPARK-SUBMIT-ARGUMENT...]");
    return String.join(" ", words);
  }

  private static OptionSpec.Builder list(String name, String label, Class<?> type) {
    return OptionSpec.builder(name)
        .paramLabel(label)
        .type(List.class)
        .auxiliaryTypes(type)
        .arity("1");
  }

  private static OptionSpec.Builder one(String name, String label, Class<?> type) {
    return OptionSpec.builder(name).paramLabel(label).type(type).arity("1");
  }

  private static CommandSpec help() {
    CommandSpec spec = CommandSpec.create().name(HELP);
    spec.addPositional(
        PositionalParamSpec.builder().paramLabel("JOB").type(String.class).arity("0..1").build());
    spec.usageMessage().description("Shows the help of a job, its settings included.");
    return spec;
  }

  private static CommandSpec completion() {
    CommandSpec spec = CommandSpec.create().name(COMPLETION);
    spec.usageMessage()
        .description("Prints the completion of bash and zsh: source <(kklip completion).");
    return spec;
  }

  /**
   * Reads the words.
   *
   * @throws UsageException when they cannot be used, with the job and the result file that they
   *     name
   */
  Command parse(List<String> words) throws UsageException {
    int end = words.indexOf("--");
    List<String> own = end < 0 ? words : words.subList(0, end);
    List<String> forwarded = end < 0 ? List.of() : words.subList(end + 1, words.size());
    try {
      ParseResult all = root.parseArgs(own.toArray(String[]::new));
      if (all.isVersionHelpRequested()) {
        return new Command.Show(Version.text());
      }
      ParseResult job = all.hasSubcommand() ? all.subcommand() : null;
      if (job == null && all.isUsageHelpRequested()) {
        return new Command.Show(usage(root));
      }
      if (job == null) {
        throw all.unmatched().isEmpty() ? noJob() : unknownJob(all.unmatched().get(0));
      }
      return of(job, forwarded);
    } catch (CommandLine.ParameterException e) {
      throw new UsageException(words, partOf(e), refused(e));
    } catch (SettingsException e) {
      throw new UsageException(words, partOf(root), e);
    }
  }

  private Command of(ParseResult parsed, List<String> forwarded) {
    String name = parsed.commandSpec().name();
    if (parsed.isUsageHelpRequested()) {
      return new Command.Show(jobHelp(name));
    }
    if (!parsed.unmatched().isEmpty()) {
      throw unknownArgument(parsed);
    }
    if (name.equals(HELP)) {
      String job = parsed.matchedPositionalValue(0, "");
      return new Command.Show(job.isEmpty() ? usage(root) : jobHelp(job));
    }
    if (name.equals(COMPLETION)) {
      return new Command.Show(AutoComplete.bash(NAME, root));
    }
    Arguments arguments = arguments(name, jobs.get(name), parsed);
    if (parsed.hasMatchedOption("--submit")) {
      return new Command.Submit(arguments, List.copyOf(forwarded));
    }
    if (!forwarded.isEmpty()) {
      throw new SettingsException(
          "Cannot use what follows --: it goes to spark-submit, so it needs --submit. Give Spark's settings by --spark KEY=VALUE.");
    }
    return new Command.Run(arguments);
  }

  private static Arguments arguments(String name, Job<?> job, ParseResult parsed) {
    Map<String, String> options = new LinkedHashMap<>();
    for (JobOption option : job.options()) {
      if (parsed.hasMatchedOption(option.name())) {
        options.put(
            option.name(),
            option.label().isEmpty() ? "" : parsed.matchedOptionValue(option.name(), ""));
      }
    }
    Map<String, String> spark = new LinkedHashMap<>();
    for (String value : parsed.matchedOptionValue("--spark", List.<String>of())) {
      int equals = value.indexOf('=');
      if (equals <= 0) {
        throw new SettingsException(message("Cannot use --spark %s: it must be KEY=VALUE.", value));
      }
      spark.put(value.substring(0, equals), value.substring(equals + 1));
    }
    return new Arguments(
        name,
        parsed.matchedOptionValue("--conf", List.<UserFile>of()),
        parsed.matchedOptionValue("--set", List.<String>of()),
        Optional.ofNullable(parsed.matchedOptionValue("--master", (String) null)),
        spark,
        Optional.ofNullable(parsed.matchedOptionValue("--result", (UserFile) null)),
        parsed.hasMatchedOption("--stacktrace"),
        options,
        job.words().isEmpty() ? List.of() : parsed.matchedPositionalValue(0, List.<String>of()));
  }

  private String jobHelp(String name) {
    Job<?> job = jobs.get(name);
    if (job == null) {
      CommandLine other = root.getSubcommands().get(name);
      if (other == null) {
        throw unknownJob(name);
      }
      return usage(other);
    }
    return usage(root.getSubcommands().get(name)) + SettingsHelp.of(job.settings(), WIDTH);
  }

  private static String usage(CommandLine command) {
    return command.getUsageMessage(Help.Ansi.OFF);
  }

  private SettingsException noJob() {
    return new SettingsException(
        message("Cannot start without a job. Give one of %s.", String.join(", ", jobs.keySet())));
  }

  private SettingsException unknownJob(String word) {
    if (word.startsWith("-")) {
      return noJob();
    }
    return new SettingsException(
        message(
            "Cannot run the job %s: there is none of that name.%s The jobs are %s.",
            word,
            nearest(word).map(near -> " Did you mean " + near + "?").orElse(""),
            String.join(", ", jobs.keySet())));
  }

  /** The job whose name takes the fewest changes, when these are under half of the word. */
  private Optional<String> nearest(String word) {
    LevenshteinDistance distance = LevenshteinDistance.getDefaultInstance();
    return root.getSubcommands().keySet().stream()
        .min(Comparator.comparingInt(name -> distance.apply(word, name)))
        .filter(name -> 2 * distance.apply(word, name) < word.length());
  }

  private static SettingsException unknownArgument(ParseResult parsed) {
    String word = parsed.unmatched().get(0);
    CommandLine command = parsed.commandSpec().commandLine();
    List<String> near =
        word.startsWith("-")
            ? new CommandLine.UnmatchedArgumentException(command, List.of(word)).getSuggestions()
            : List.of();
    return new SettingsException(
        message(
            "Cannot use the argument %s:%s see kklip %s --help for the options.",
            word,
            near.isEmpty() ? "" : " did you mean " + near.get(0) + "?",
            parsed.commandSpec().name()));
  }

  private static SettingsException refused(CommandLine.ParameterException e) {
    if (e instanceof CommandLine.MissingParameterException missing
        && !missing.getMissing().isEmpty()
        && missing.getMissing().get(0) instanceof OptionSpec option) {
      return new SettingsException(
          message("Cannot use %s: its value is missing.", option.longestName()), e);
    }
    if (e.getArgSpec() instanceof OptionSpec option) {
      return new SettingsException(
          message("Cannot use %s %s: %s.", option.longestName(), e.getValue(), e.getMessage()), e);
    }
    return new SettingsException(message("Cannot use the arguments: %s.", e.getMessage()), e);
  }

  /** What was read before the words could not be used. */
  private static Optional<ParseResult> partOf(CommandLine.ParameterException e) {
    return Optional.ofNullable(e.getCommandLine().getParseResult());
  }

  private static Optional<ParseResult> partOf(CommandLine root) {
    return Optional.ofNullable(root.getParseResult())
        .map(all -> all.hasSubcommand() ? all.subcommand() : all);
  }
}
