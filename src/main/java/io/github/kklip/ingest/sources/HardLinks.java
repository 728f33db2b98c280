package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import java.io.BufferedInputStream;
import java.io.IOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * The data of hard links in an archive that is not compressed: those of the member that a link
 * names, read again from where it lies. With the first link the headers of the whole archive are
 * looked at once.
 */
final class HardLinks {
  private static final int MAX_MEMBERS = 1 << 20;

  /** Between headers lie images: a larger buffer would read what is skipped. */
  private static final int HEADERS_BUFFER = 4096;

  private final Configuration configuration;
  private final Path path;
  private NameIndex offsets;
  private boolean complete = true;

  HardLinks(Configuration configuration, Path path) {
    this.configuration = configuration;
    this.path = path;
  }

  Sample.Loaded read(String target, long limit) throws IOException {
    if (offsets == null) {
      index();
    }
    long offset = offsets.number(target);
    if (offset < 0) {
      String among =
          complete ? "" : message(" among the first %s members of the archive", MAX_MEMBERS);
      return broken(
          message("the hard link leads to %s, which is not there%s", Archive.shown(target), among));
    }
    try (RawInput raw = RawInput.openListed(configuration, path, offset);
        TarReader tar = new TarReader(new BufferedInputStream(raw), offset)) {
      Archive.Entry entry = tar.next();
      if (entry == null
          || entry.kind() != Archive.MemberKind.FILE
          || !entry.name().equals(target)) {
        return broken(
            message("the hard link leads to %s, which is no file", Archive.shown(target)));
      }
      byte[] bytes = tar.read(limit);
      return new Sample.Loaded(bytes, bytes == null ? MemberContent.tooLarge(limit) : null);
    }
  }

  private static Sample.Loaded broken(String detail) {
    return new Sample.Loaded(null, new Problem(Problem.LINK, detail));
  }

  private void index() {
    offsets = new NameIndex(MAX_MEMBERS, true);
    try (RawInput raw = RawInput.openListed(configuration, path, 0);
        TarReader tar = new TarReader(new BufferedInputStream(raw, HEADERS_BUFFER), 0)) {
      Archive.Entry entry = tar.next();
      while (entry != null && complete) {
        complete = offsets.add(entry.name(), entry.offset());
        entry = tar.next();
      }
    } catch (IOException e) {
      // Targets come before their links; who reads the archive meets the damage itself.
      complete = true;
    }
  }
}
