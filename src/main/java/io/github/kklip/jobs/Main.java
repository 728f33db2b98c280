package io.github.kklip.jobs;

import static io.github.kklip.config.Message.message;

import io.github.kklip.check.HostChecks;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.publication.TemporaryFolder;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.function.Function;
import java.util.function.Supplier;
import org.apache.hadoop.fs.FSError;
import org.apache.spark.sql.SparkSession;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The command line: {@code JOB [--conf FILE]... [--set KEY=VALUE]... [--master URL] [--spark
 * KEY=VALUE]... [--result FILE]}, {@code help JOB}.
 *
 * <p>A job ends with the line {@code RESULT {json}} on standard output, on failure too: {@code
 * job}, {@code status} (done, failed, refused, stopped), {@code exit}, what the job gave, and then,
 * where it was not done, {@code error}, the {@code stage} that failed and what the {@code stages}
 * before it gave. {@code exit} is the exit status: 0, 1, 2 or 143. Only {@code settings} prints
 * HOCON instead. {@code files} and {@code clean} print what they list before that line.
 */
public final class Main {
  private static final Logger LOG = LoggerFactory.getLogger(Main.class);

  private Main() {}

  public static void main(String[] words) {
    int status = run(Arrays.asList(words), System.out, System.err);
    System.out.flush();
    if (SparkSessions.shared()) {
      // Databricks' driver outlives the job and takes an exit for a crash.
      if (status != 0) {
        throw new IllegalStateException(
            message("The job ended with status %s; see the RESULT line.", status));
      }
      return;
    }
    // Non-daemon threads of libraries must not keep a finished job alive.
    System.exit(status);
  }

  /**
   * Runs one job in a session that is there already, as a notebook has one, and leaves it open.
   *
   * @param words the job and its arguments, as on the command line
   * @return the fields of the RESULT line
   * @see Kklip
   */
  public static Map<String, Object> run(SparkSession session, String... words) throws Exception {
    Map<String, Job<?>> jobs = Jobs.all();
    Command command;
    try {
      command = new CommandLineParser(jobs).parse(Arrays.asList(words));
    } catch (UsageException e) {
      throw (SettingsException) e.getCause();
    }
    if (!(command instanceof Command.Run run)) {
      throw new SettingsException(
          message("Cannot run %s within a session: it is for a shell.", String.join(" ", words)));
    }
    return Results.fields(Kklip.run(jobs.get(run.arguments().job()), run.arguments(), session));
  }

  /** Does what the words ask for and returns the exit status. */
  static int run(List<String> words, PrintStream out, PrintStream err) {
    Map<String, Job<?>> jobs = Jobs.all();
    try {
      Optional<String> changed = HostChecks.arguments();
      if (changed.isPresent()) {
        throw new UsageException(words, Optional.empty(), new SettingsException(changed.get()));
      }
      Command command = new CommandLineParser(jobs).parse(words);
      if (command instanceof Command.Show show) {
        out.print(show.text());
        return Status.DONE.exit();
      }
      if (command instanceof Command.Submit submit) {
        return submit(submit, new ResultLine(out, err, submit.arguments().result()), err);
      }
      Arguments arguments = withDemo(((Command.Run) command).arguments());
      return run(
          arguments, jobs.get(arguments.job()), new ResultLine(out, err, arguments.result()), err);
    } catch (UsageException e) {
      ResultLine report = new ResultLine(out, err, e.result());
      return report.tell(ended(e.job(), e.getCause(), false, report, err, false), Optional.empty());
    }
  }

  /**
   * The job itself reports from where spark-submit runs it; this does when it does not come to
   * that.
   */
  private static int submit(Command.Submit submit, ResultLine report, PrintStream err) {
    Arguments arguments = submit.arguments();
    try {
      report.begin();
      return SparkSubmit.run(arguments, submit.forwarded());
    } catch (SettingsException | IOException | InterruptedException e) {
      boolean stopped = e instanceof InterruptedException;
      return report.tell(
          ended(arguments.job(), e, stopped, report, err, arguments.stacktrace()),
          Optional.empty());
    }
  }

  /** The demo is settings like any other; what the user gives comes later and wins. */
  private static Arguments withDemo(Arguments arguments) {
    String home = System.getProperty("kklip.home");
    if (home == null || !arguments.job().equals("demo")) {
      return arguments;
    }
    List<Path> files = new ArrayList<>();
    files.add(Path.of(home, "conf", "demo.conf"));
    files.addAll(arguments.files());
    return arguments.withFiles(files);
  }

  private static <R extends Record> int run(
      Arguments arguments, Job<R> job, ResultLine report, PrintStream err) {
    String name = arguments.job();
    Supplier<OptionalInt> overdue =
        () ->
            OptionalInt.of(
                report.tell(
                    Ending.of(name, new StoppedException(), true, report.seconds()),
                    Optional.empty()));
    Function<String, OptionalInt> exited =
        caller -> {
          IllegalStateException failure =
              new IllegalStateException(
                  message(
                      "Cannot go on because %s has ended the process. What was logged before says why.",
                      caller));
          return OptionalInt.of(
              report.tell(ended(name, failure, false, report, err, false), Optional.empty()));
        };
    try (StopSignal stop = new StopSignal(overdue, exited)) {
      try {
        report.begin();
        holdTemporary();
        R result;
        try (JobContext context = new JobContext(arguments, stop)) {
          result = Kklip.begin(job, context);
          stop.settle();
        }
        Ending ending = Ending.of(name, job, result, report.seconds());
        if (ending.error() != null) {
          // What was cancelled is no fault of the machine.
          stop.check();
          err.println(ending.error());
        }
        if (ending.error() == null) {
          report.print(job.lines(result));
        }
        return stop.exits(
            report.tell(ending, ending.error() == null ? job.output(result) : Optional.empty()));
      } catch (Exception | LinkageError | FSError e) {
        stop.settle();
        return stop.exits(
            report.tell(
                ended(name, e, stop.isRequested(), report, err, arguments.stacktrace()),
                Optional.empty()));
      }
    }
  }

  /** What killed jobs have left goes, and what the launcher has made stays while this one lives. */
  private static void holdTemporary() {
    TemporaryFolder.sweepOnce();
    String launcher = System.getProperty("kklip.temporary", "");
    if (!launcher.isEmpty()) {
      Path folder = Path.of(launcher).toAbsolutePath();
      TemporaryFolder.sweepOnce(folder.getParent());
      try {
        TemporaryFolder unused = TemporaryFolder.mark(folder);
      } catch (IOException e) {
        LOG.debug("Cannot mark {}, so that it stays when this job is killed", folder, e);
      }
    }
  }

  /** Tells a person what went wrong. */
  private static Ending ended(
      String job, Throwable e, boolean stopped, ResultLine report, PrintStream err, boolean trace) {
    Ending ending = Ending.of(job, e, stopped, report.seconds());
    boolean stopping = ending.status() == Status.STOPPED;
    err.println(stopping ? ending.error() : Ending.text(e));
    // A sentence of ours says what is wrong; what is not one of them is a fault of this program.
    boolean fault = ending.status() == Status.FAILED && !ending.error().startsWith("Cannot ");
    if (trace || fault) {
      e.printStackTrace(err);
    }
    return ending;
  }
}
