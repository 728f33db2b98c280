package io.github.kklip.upkeep;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.ManifestFiles;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.publication.ConditionalCreate;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.LeaseHeldException;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.publication.Takeover;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Finds what a dataset's folder holds that nothing needs, and deletes it when it is told to: files
 * of interrupted jobs, of writers that lost a race, and what was replaced. It is the only part of
 * this program that deletes files of a dataset.
 *
 * <p>What a manifest that stays, a checkpoint of a registered run or a job at work needs is never
 * deleted, nor what is younger than {@code clean.older-than}, nor what is not this program's by
 * place and name. Old manifests go first, so that a run that is cut short leaves none that names a
 * file that is gone.
 */
public final class CleanStage {
  private static final Logger LOG = LoggerFactory.getLogger(CleanStage.class);

  private static final Duration LEAST_AGE = Duration.ofDays(1);

  /**
   * What is asked for.
   *
   * @param delete whether orphans are deleted, or only listed
   * @param forget a run whose registration is removed first: its output or its name
   * @param removedNow whether what the last takedown replaced goes without waiting
   */
  public record Request(boolean delete, Optional<String> forget, boolean removedNow) {}

  /** A file of the folder. */
  private record Found(String inside, FileKind kind, FileStatus status, Verdict verdict) {
    long bytes() {
      return status.getLen();
    }
  }

  private enum Verdict {
    NEEDED,
    YOUNG,
    IN_USE,
    ORPHAN,
    FOREIGN
  }

  private final DatasetFolder folder;
  private final Configuration configuration;
  private final Settings settings;
  private final Request request;
  private final Runnable looked;

  private CleanStage(DatasetFolder folder, Settings settings, Request request, Runnable looked) {
    this.folder = folder;
    this.configuration = folder.configuration();
    this.settings = settings;
    this.request = request;
    this.looked = looked;
  }

  /**
   * Lists orphans, and deletes them when that is asked for.
   *
   * @throws SettingsException when there is no dataset, or a registered run cannot be read
   * @throws IOException when another job writes pairs, or a file system fails
   */
  public static CleanResult run(Settings settings, Configuration configuration, Request request)
      throws IOException {
    return run(settings, configuration, request, () -> {});
  }

  /**
   * @param looked called before anything is deleted
   */
  static CleanResult run(
      Settings settings, Configuration configuration, Request request, Runnable looked)
      throws IOException {
    DatasetFolder folder =
        new DatasetFolder(Settings.required(settings.dataset(), "dataset"), configuration);
    CleanStage stage = new CleanStage(folder, settings, request, looked);
    if (settings.clean().olderThan().compareTo(LEAST_AGE) < 0) {
      throw new SettingsException(
          message(
              "Cannot clean the dataset %s with clean.older-than = %s: it must be 1 day or longer, as what a job at work or a reader needs may be named nowhere for hours.",
              folder.root(), settings.clean().olderThan()));
    }
    folder.requireManifest();
    if (request.forget().isPresent()) {
      stage.forget(request.forget().get());
    }
    if (!request.delete()) {
      return stage.clean(Set.of());
    }
    try (Lease lease =
        Lease.acquire(
            configuration,
            folder.root(),
            "clean",
            settings.leaseExpiry(),
            ConditionalCreate.isPossible(configuration, folder.root())
                ? Takeover.AFTER_EXPIRY
                : Takeover.NEVER)) {
      return stage.withLeases(lease);
    }
  }

  private void forget(String run) throws IOException {
    List<String> names = new ArrayList<>();
    if (RegisteredRun.names(folder).contains(run)) {
      names.add(run); // One that cannot be read has no other name.
    } else {
      String output = Storage.path(run, configuration).toString();
      SortedMap<String, RegisteredRun> runs = RegisteredRun.list(folder);
      runs.forEach(
          (name, registered) -> {
            if (registered.output().equals(output)) {
              names.add(name);
            }
          });
      if (names.isEmpty()) {
        throw new SettingsException(
            message(
                "Cannot forget the run %s because it is not registered in the dataset %s. Those that are: %s.",
                run,
                folder.root(),
                runs.isEmpty()
                    ? "none"
                    : runs.values().stream()
                        .map(RegisteredRun::output)
                        .distinct()
                        .collect(Collectors.joining(", "))));
      }
    }
    for (String name : names) {
      RegisteredRun.forget(folder, name);
      LOG.info("The run {} is no longer registered in {} as {}", run, folder.root(), name);
    }
  }

  /** Holds the leases of all folders that no job is writing to. */
  private CleanResult withLeases(Lease root) throws IOException {
    List<Lease> leases = new ArrayList<>();
    Set<String> used = new HashSet<>();
    try {
      for (Path path : writtenApart()) {
        try {
          leases.add(Lease.acquire(configuration, path, "clean", settings.leaseExpiry()));
        } catch (LeaseHeldException e) {
          LOG.info("{} stays as it is: {}", path, e.getMessage());
          used.add(folder.inside(path) + "/");
        }
      }
      CleanResult result = clean(used);
      root.check();
      return result;
    } finally {
      for (Lease lease : leases) {
        lease.close();
      }
    }
  }

  /** The folders that have leases of their own. */
  private List<Path> writtenApart() throws IOException {
    List<Path> folders = new ArrayList<>();
    for (String parent : List.of("teachers", "concepts")) {
      Path path = new Path(folder.root(), parent);
      try {
        for (FileStatus status : Storage.of(configuration, path).listStatus(path)) {
          if (status.isDirectory()) {
            folders.add(status.getPath());
          }
        }
      } catch (FileNotFoundException e) {
        // None.
      }
    }
    if (Storage.of(configuration, folder.tokenizers()).exists(folder.tokenizers())) {
      folders.add(folder.tokenizers());
    }
    return folders;
  }

  private CleanResult clean(Set<String> used) throws IOException {
    long now = now();
    long olderThan = settings.clean().olderThan().toMillis();
    Needed needed = Needed.of(folder, now, olderThan, request.removedNow());
    List<Found> found = new ArrayList<>();
    for (FileStatus status : Storage.files(configuration, folder.root())) {
      String inside = folder.inside(status.getPath());
      FileKind kind = FileKind.of(inside);
      boolean old = now - status.getModificationTime() >= olderThan;
      found.add(new Found(inside, kind, status, verdict(inside, kind, needed, used, old)));
    }
    // The longest unused first within a kind; old manifests before what they name.
    found.sort(
        Comparator.comparing((Found file) -> file.kind() != FileKind.MANIFEST)
            .thenComparing(Found::inside));
    if (request.delete()) {
      looked.run();
      requireUnchanged(needed);
      delete(found);
    }
    return result(found, now);
  }

  private static Verdict verdict(
      String inside, FileKind kind, Needed needed, Set<String> used, boolean old) {
    boolean isNeeded =
        switch (kind) {
          case FOREIGN, TEMPORARY, WORK -> false;
          case LEASE -> !old; // This job's own, or one that is renewed.
          case RUN, CARD -> true;
          case MANIFEST -> needed.manifests().contains(number(inside));
          case FORMAT_1 -> needed.manifests().contains(0L);
          default -> needed.files().contains(inside);
        };
    if (kind == FileKind.FOREIGN) {
      return Verdict.FOREIGN;
    }
    if (isNeeded) {
      return Verdict.NEEDED;
    }
    if (used.stream().anyMatch(inside::startsWith)) {
      return Verdict.IN_USE;
    }
    boolean removed =
        needed.superseded().contains(inside)
            || (kind == FileKind.MANIFEST && needed.goes(number(inside)))
            || (kind == FileKind.FORMAT_1 && needed.goes(0));
    return old || removed ? Verdict.ORPHAN : Verdict.YOUNG;
  }

  private static long number(String manifest) {
    String name = manifest.substring(manifest.lastIndexOf('/') + 1);
    return Long.parseLong(name.substring(0, name.indexOf('.')));
  }

  /** The time of the storage: this machine's clock may be another. */
  private long now() throws IOException {
    Path file = new Path(folder.root(), ".clean." + UUID.randomUUID() + Publication.SUFFIX);
    FileSystem fileSystem = Storage.of(configuration, file);
    fileSystem.create(file, false).close();
    try {
      return fileSystem.getFileStatus(file).getModificationTime();
    } finally {
      fileSystem.delete(file, false);
    }
  }

  private void requireUnchanged(Needed needed) throws IOException {
    long newest = ManifestFiles.newestNumber(configuration, folder.root());
    if (newest != needed.newest()) {
      throw new IOException(
          message(
              "Cannot clean the dataset %s because another job has changed it while this one looked: it is at commit %s instead of %s. Run the job again.",
              folder.root(), newest, needed.newest()));
    }
  }

  private void delete(List<Found> found) throws IOException {
    Set<Path> folders = new HashSet<>();
    for (Found file : found) {
      if (file.verdict == Verdict.ORPHAN) {
        Path path = file.status.getPath();
        Storage.of(configuration, path).delete(path, false);
        folders.add(path.getParent());
      }
    }
    if (!Storage.isObjectStore(configuration, folder.root())) {
      for (Path path : folders) {
        removeEmpty(path);
      }
    }
  }

  private void removeEmpty(Path path) throws IOException {
    FileSystem fileSystem = Storage.of(configuration, path);
    Path at = path;
    while (!at.equals(folder.root())) {
      try {
        if (fileSystem.listStatus(at).length > 0) {
          return;
        }
        fileSystem.delete(at, false);
      } catch (FileNotFoundException e) {
        // It is gone already.
      }
      at = at.getParent();
    }
  }

  private CleanResult result(List<Found> found, long now) throws IOException {
    SortedMap<String, Long> kinds = new TreeMap<>();
    List<String> lines = new ArrayList<>();
    for (Found file : found) {
      if (file.verdict == Verdict.ORPHAN) {
        kinds.merge(file.kind.name().toLowerCase(Locale.ROOT).replace('_', '-'), 1L, Long::sum);
      }
      if (file.verdict == Verdict.ORPHAN || file.verdict == Verdict.FOREIGN) {
        String word =
            file.verdict == Verdict.FOREIGN ? "foreign" : request.delete() ? "deleted" : "orphan";
        double days =
            (now - file.status.getModificationTime()) / (double) TimeUnit.DAYS.toMillis(1);
        lines.add(
            String.format(
                Locale.ROOT, "%s %.1f days %d bytes %s", word, days, file.bytes(), file.inside));
      }
    }
    long orphans = count(found, Verdict.ORPHAN);
    long bytes = bytes(found, Verdict.ORPHAN);
    return new CleanResult(
        folder.root().toString(),
        orphans,
        bytes,
        kinds,
        request.delete() ? orphans : 0,
        request.delete() ? bytes : 0,
        count(found, Verdict.YOUNG),
        bytes(found, Verdict.YOUNG),
        count(found, Verdict.IN_USE),
        count(found, Verdict.FOREIGN),
        bytes(found, Verdict.FOREIGN),
        RegisteredRun.list(folder).size(),
        lines);
  }

  private static long count(List<Found> found, Verdict verdict) {
    return found.stream().filter(file -> file.verdict == verdict).count();
  }

  private static long bytes(List<Found> found, Verdict verdict) {
    return found.stream().filter(file -> file.verdict == verdict).mapToLong(Found::bytes).sum();
  }
}
