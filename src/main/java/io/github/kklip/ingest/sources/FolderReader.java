package io.github.kklip.ingest.sources;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.Sample.Loaded;
import io.github.kklip.ingest.sources.Sample.SamplePart;
import io.github.kklip.ingest.sources.SampleRules.Part;
import io.github.kklip.ingest.sources.SampleRules.SampleName;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/**
 * Folders, at any depth, of images with texts beside them. Files whose names agree up to the last
 * dot are a sample.
 */
final class FolderReader implements SourceReader {
  private static final int SAMPLES_PER_UNIT = 64;
  private static final int MAX_UNITS = 20_000;

  private final SampleRules rules;
  private final boolean followLinks;

  FolderReader(IngestSettings.SourceSettings source, IngestSettings limits) {
    this.rules = SampleRules.of(source, limits);
    this.followLinks = source.followLinks();
  }

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) throws IOException {
    Path folder = new Path(file.path());
    FileSystem fileSystem = Storage.of(configuration, folder);
    if (fileSystem.getFileStatus(folder).isFile()) {
      return List.of(oneSample(fileSystem, file, folder));
    }
    FolderWalk walk = FolderWalk.of(configuration, folder, followLinks);
    List<String> names = new ArrayList<>();
    for (FileStatus status : walk.files()) {
      names.add(name(folder, status.getPath()));
    }
    SortedMap<String, List<String>> samples = samples(names);
    List<String> skipped = new ArrayList<>();
    for (FolderWalk.Skipped one : walk.skipped()) {
      String name = name(folder, one.path());
      SampleName parts = rules.upToTheLastDot(name);
      List<String> sample = samples.get(parts.key());
      if (one.reason().equals(Problem.LINK)
          && rules.part(parts.extension()) == Part.TEXT
          && sample != null
          && hasPicture(sample)) {
        // It is the text of a picture, and rejected with it.
        sample.add(name);
      } else if (!Clutter.is(name)) {
        skipped.addAll(one.named(name));
      }
    }
    List<Unit> units = chunks(file, new ArrayList<>(samples.values()));
    if (!skipped.isEmpty()) {
      units.add(LinkReader.unit(file.source(), file.path(), skipped));
    }
    return units;
  }

  /** A file that a person names, and the texts beside it. */
  private Unit oneSample(FileSystem fileSystem, Unit file, Path picture) throws IOException {
    Path parent = picture.getParent();
    List<String> names = new ArrayList<>();
    for (FileStatus status : fileSystem.listStatus(parent)) {
      String name = status.getPath().getName();
      SampleName parts = rules.upToTheLastDot(name);
      if (name.equals(picture.getName())
          || (status.isFile()
              && rules.part(parts.extension()) == Part.TEXT
              && parts.key().equals(rules.upToTheLastDot(picture.getName()).key()))) {
        names.add(name);
      }
    }
    names.sort(null);
    return new Unit(file.source(), parent.toString(), 0, 0, 0, names);
  }

  private static String name(Path folder, Path file) {
    return folder.toUri().relativize(file.toUri()).getPath();
  }

  private SortedMap<String, List<String>> samples(List<String> names) {
    SortedMap<String, List<String>> samples = new TreeMap<>();
    names.sort(null);
    for (String name : names) {
      samples.computeIfAbsent(key(name), sample -> new ArrayList<>()).add(name);
    }
    return samples;
  }

  private boolean hasPicture(List<String> names) {
    return names.stream()
        .anyMatch(name -> rules.part(rules.upToTheLastDot(name).extension()) == Part.PICTURE);
  }

  private static List<Unit> chunks(Unit file, List<List<String>> samples) {
    int size = Math.max(SAMPLES_PER_UNIT, samples.size() / MAX_UNITS + 1);
    List<Unit> units = new ArrayList<>();
    for (int from = 0; from < samples.size(); from += size) {
      List<String> chunk =
          samples.subList(from, Math.min(from + size, samples.size())).stream()
              .flatMap(List::stream)
              .toList();
      units.add(new Unit(file.source(), file.path(), units.size(), 0, 0, chunk));
    }
    return units;
  }

  @Override
  public Members open(Configuration configuration, Unit unit) {
    return new Members() {
      private int position;

      @Override
      public Member next() throws IOException {
        if (position == unit.names().size()) {
          return null;
        }
        int from = position++;
        String key = key(unit.names().get(from));
        while (position < unit.names().size() && key(unit.names().get(position)).equals(key)) {
          position++;
        }
        return member(
            configuration, new Path(unit.path()), key, unit.names().subList(from, position));
      }

      @Override
      public void close() {}
    };
  }

  private String key(String name) {
    return Clutter.is(name) ? name : rules.upToTheLastDot(name).key();
  }

  private Member member(Configuration configuration, Path folder, String key, List<String> names)
      throws IOException {
    Map<Note, Integer> notes = new EnumMap<>(Note.class);
    List<SamplePart> parts = new ArrayList<>();
    for (String name : names) {
      String extension = rules.upToTheLastDot(name).extension();
      Part part = rules.part(extension);
      if (Clutter.is(name) || part == Part.OTHER) {
        notes.merge(Clutter.is(name) ? Note.CLUTTER : Note.OTHER, 1, Integer::sum);
      } else {
        parts.add(
            new SamplePart(
                name,
                extension,
                part,
                () -> load(configuration, folder, name, rules.limit(part), part == Part.TEXT)));
      }
    }
    if (parts.isEmpty()) {
      return Member.noted(notes);
    }
    return Sample.of(key, parts, rules, () -> DatasetType.isRetrieval(configuration, folder))
        .with(notes);
  }

  /**
   * @param mayBeGone whether a file that was listed and is not there says nothing about the store
   */
  private Loaded load(
      Configuration configuration, Path folder, String name, long limit, boolean mayBeGone)
      throws IOException {
    Path file = child(folder, name);
    String link = FolderWalk.whyNot(configuration, folder, file, followLinks);
    if (link != null) {
      return new Loaded(null, new Problem(Problem.LINK, link));
    }
    try (RawInput in =
        mayBeGone
            ? RawInput.open(configuration, file, 0)
            : RawInput.openListed(configuration, file, 0)) {
      byte[] bytes = MemberContent.read(in, limit);
      return new Loaded(bytes, bytes == null ? MemberContent.tooLarge(limit) : null);
    } catch (RawInput.OpeningException e) {
      return new Loaded(null, e.problem());
    }
  }

  /** Names of people's files may hold what a path would take for a scheme. */
  private static Path child(Path folder, String name) {
    return new Path(folder, new Path(null, null, name));
  }
}
