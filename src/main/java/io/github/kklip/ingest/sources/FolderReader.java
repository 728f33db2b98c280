package io.github.kklip.ingest.sources;

import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;

/** Folders, at any depth, of images with a text file of the same name each. */
record FolderReader(long maxBytes, boolean followLinks) implements SourceReader {
  private static final int IMAGES_PER_UNIT = 64;
  private static final int MAX_UNITS = 20_000;

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) throws IOException {
    Path folder = new Path(file.path());
    FileSystem fileSystem = Storage.of(configuration, folder);
    if (fileSystem.getFileStatus(folder).isFile()) {
      Path parent = folder.getParent();
      return List.of(
          new Unit(file.source(), parent.toString(), 0, 0, 0, List.of(folder.getName())));
    }
    FolderWalk walk = FolderWalk.of(configuration, folder, followLinks);
    List<String> names = new ArrayList<>();
    for (FileStatus status : walk.files()) {
      if (!status.getPath().getName().startsWith(".")) {
        names.add(name(folder, status.getPath()));
      }
    }
    names.sort(null);
    Set<String> stems = stems(names);
    List<Unit> units = chunks(file, names.stream().filter(n -> !isText(n, stems)).toList());
    List<String> skipped = new ArrayList<>();
    for (FolderWalk.Skipped one : walk.skipped()) {
      String name = name(folder, one.path());
      if (!isText(name, stems)) {
        skipped.addAll(one.named(name));
      }
    }
    if (!skipped.isEmpty()) {
      units.add(LinkReader.unit(file.source(), file.path(), skipped));
    }
    return units;
  }

  private static String name(Path folder, Path file) {
    return folder.toUri().relativize(file.toUri()).getPath();
  }

  /** The names of images without their endings. */
  private static Set<String> stems(List<String> names) {
    Set<String> stems = new HashSet<>();
    for (String name : names) {
      if (MemberContent.isImage(name)) {
        stems.add(stem(name));
      }
    }
    return stems;
  }

  /** Whether it is the text of an image, which is read with it; all else stands for itself. */
  private static boolean isText(String name, Set<String> stems) {
    return name.endsWith(".txt") && stems.contains(stem(name));
  }

  private static List<Unit> chunks(Unit file, List<String> names) {
    int size = Math.max(IMAGES_PER_UNIT, names.size() / MAX_UNITS + 1);
    List<Unit> units = new ArrayList<>();
    for (int from = 0; from < names.size(); from += size) {
      List<String> chunk = List.copyOf(names.subList(from, Math.min(from + size, names.size())));
      units.add(new Unit(file.source(), file.path(), units.size(), 0, 0, chunk));
    }
    return units;
  }

  private static String stem(String name) {
    return name.substring(0, name.lastIndexOf('.'));
  }

  @Override
  public Members open(Configuration configuration, Unit unit) {
    return new Members() {
      private int position;

      @Override
      public Member next() throws IOException {
        return position < unit.names().size()
            ? member(configuration, new Path(unit.path()), unit.names().get(position++))
            : null;
      }

      @Override
      public void close() {}
    };
  }

  private Member member(Configuration configuration, Path folder, String name) throws IOException {
    if (!MemberContent.isImage(name)) {
      return Member.ignored(name, 1);
    }
    List<Caption> captions = new ArrayList<>();
    Path text = child(folder, stem(name) + ".txt");
    String link = FolderWalk.whyNot(configuration, folder, text, followLinks);
    if (link != null) {
      return Member.problem(stem(name) + ".txt", Problem.LINK, link);
    }
    try (RawInput in = RawInput.open(configuration, text, 0)) {
      byte[] bytes = MemberContent.read(in, maxBytes);
      captions.add(
          bytes == null
              ? Caption.broken("", MemberContent.tooLarge(maxBytes))
              : MemberContent.caption("", bytes));
    } catch (RawInput.OpeningException e) {
      if (!e.problem().reason().equals(Problem.MISSING_FILE)) {
        captions.add(Caption.broken("", e.problem()));
      }
    }
    // A picture without a caption is a reject already: no need to read it.
    List<Member.Picture> pictures =
        List.of(
            captions.isEmpty()
                ? Member.Picture.of(name, new byte[0])
                : MemberContent.picture(
                    RawInput.openListed(configuration, child(folder, name), 0), name, maxBytes));
    return new Member(name, pictures, captions, 0, List.of());
  }

  /** Names of people's files may hold what a path would take for a scheme. */
  private static Path child(Path folder, String name) {
    return new Path(folder, new Path(null, null, name));
  }
}
