package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.store.publication.ContentKind;
import io.github.kklip.store.publication.Storage;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.zip.GZIPInputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * WebDataset archives: tar files, also packed with gzip, zstd, bzip2 or xz, and zip files, in which
 * consecutive members of one key are a sample ({@link SampleGroups}). Members may be gzipped
 * ({@code 0001.txt.gz}).
 */
public final class WebDatasetReader implements SourceReader {
  private static final Logger LOG = LoggerFactory.getLogger(WebDatasetReader.class);

  /** Between headers lie images: a larger buffer would read what is skipped. */
  private static final int HEADERS_BUFFER = 4096;

  /** A zip archive's directory ends with a record of 22 bytes and a comment of up to 65,535. */
  private static final int ZIP_END = 22 + 65_535;

  private final SampleRules rules;
  private final IngestSettings limits;

  public WebDatasetReader(IngestSettings.SourceSettings source, IngestSettings limits) {
    this.rules = SampleRules.of(source, limits);
    this.limits = limits;
  }

  /** A long archive that is not packed is cut between samples, from one look at its headers. */
  @Override
  public List<Unit> plan(Configuration configuration, Unit file) throws IOException {
    Path path = new Path(file.path());
    long piece = limits.splitBytes();
    if (Storage.of(configuration, path).getFileStatus(path).getLen() < 2 * piece) {
      return List.of(file);
    }
    List<Unit> units = new ArrayList<>();
    long from = 0;
    long members = 0;
    try (RawInput raw = RawInput.openListed(configuration, path, 0);
        TarReader tar = new TarReader(new BufferedInputStream(raw, HEADERS_BUFFER), 0)) {
      String last = "";
      for (Archive.Entry entry = tar.next(); entry != null; entry = tar.next()) {
        // AppleDouble files stand between the members of a sample.
        String key =
            Clutter.is(entry.name()) ? last : SampleRules.upToTheFirstDot(entry.name()).key();
        if (entry.offset() - from >= piece && !key.equals(last)) {
          units.add(new Unit(file.source(), file.path(), units.size(), from, members, List.of()));
          from = entry.offset();
          members = 0;
        }
        last = key;
        members++;
      }
    } catch (IOException e) {
      // Packed or damaged: reading the last piece, to the archive's end, tells which.
      LOG.debug("Cannot look further into {}", file.path(), e);
    }
    units.add(new Unit(file.source(), file.path(), units.size(), from, 0, List.of()));
    return units;
  }

  @Override
  public Members open(Configuration configuration, Unit unit) throws IOException {
    RawInput raw = RawInput.openListed(configuration, new Path(unit.path()), unit.from());
    try {
      return new ArchiveMembers(configuration, raw, unit);
    } catch (IOException e) {
      raw.close();
      return Members.of(Member.problem("", Problem.UNREADABLE, detail(e)));
    }
  }

  /** What an archive of which nothing can be read is, or else {@code otherwise}. */
  private String whatItIs(Configuration configuration, Unit unit, String otherwise) {
    byte[] head;
    try (RawInput raw = RawInput.openListed(configuration, new Path(unit.path()), 0);
        Packing.Counting packed = Packing.Counting.of(raw);
        InputStream in = Packing.of(packed).unpacked(packed, limits.maxExpansion())) {
      head = in.readNBytes(ContentKind.HEAD_BYTES);
    } catch (IOException e) {
      LOG.debug("Cannot unpack the first bytes of {}", unit.path(), e);
      return otherwise;
    }
    return ContentKind.of(head)
        .filter(kind -> kind != ContentKind.TAR)
        .map(kind -> message("no tar archive, %s", kind.sentence()))
        .orElse(otherwise);
  }

  private static String detail(Exception e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }

  /** A member may be gzipped by itself. */
  private static String plain(String name) {
    return MemberContent.extension(name).equals("gz") ? name.substring(0, name.length() - 3) : name;
  }

  private final class ArchiveMembers implements Members {
    private final Configuration configuration;
    private final Unit unit;
    private final Archive archive;

    /** Null where a member cannot be read again. */
    private final HardLinks links;

    private final SampleGroups groups;
    private final Map<Note, Integer> notes = new EnumMap<>(Note.class);
    private final boolean toTheEnd;
    private long unread;
    private boolean started;
    private boolean ended;

    ArchiveMembers(Configuration configuration, RawInput raw, Unit unit) throws IOException {
      this.configuration = configuration;
      this.unit = unit;
      Path path = new Path(unit.path());
      Packing.Counting packed = Packing.Counting.of(raw);
      // A piece of an archive begins with a member.
      Packing packing = unit.from() > 0 ? Packing.NONE : Packing.of(packed);
      boolean zip = packing == Packing.ZIP || packing == Packing.EMPTY_ZIP;
      archive =
          zip
              ? new ZipReader(packed, limits.maxExpansion(), hasZipDirectory(configuration, path))
              : new TarReader(packing.unpacked(packed, limits.maxExpansion()), unit.from());
      links = packing == Packing.NONE ? new HardLinks(configuration, path) : null;
      groups =
          new SampleGroups(
              rules, new OnceAsked(() -> DatasetType.isRetrieval(configuration, path.getParent())));
      toTheEnd = unit.count() == 0;
      unread = unit.count();
      started = unit.part() > 0;
    }

    @Override
    public Member next() throws IOException {
      while (true) {
        Member ready = groups.poll();
        if (ready != null) {
          return ready;
        }
        if (ended) {
          Member counted = notes.isEmpty() ? null : Member.noted(new EnumMap<>(notes));
          notes.clear();
          return counted;
        }
        step();
      }
    }

    private void step() throws IOException {
      Archive.Entry entry = null;
      try {
        entry = toTheEnd || unread-- > 0 ? archive.next() : null;
        started |= entry != null;
        if (entry == null) {
          ended = true;
        } else {
          add(entry);
          return;
        }
      } catch (IOException e) {
        ended = true;
        if (started) {
          groups.cut(entry == null ? "" : plain(entry.name()), Problem.CUT_SHORT, detail(e));
        } else {
          groups.cut("", Problem.UNREADABLE, whatItIs(configuration, unit, detail(e)));
        }
        return;
      }
      groups.end();
    }

    private void add(Archive.Entry entry) throws IOException {
      String name = entry.name();
      String plain = plain(name);
      boolean gzip = !plain.equals(name);
      Note note =
          Clutter.is(name)
              ? Note.CLUTTER
              : entry.kind() == Archive.MemberKind.OTHER || !groups.takes(plain)
                  ? Note.OTHER
                  : null;
      if (note != null) {
        notes.merge(note, 1, Integer::sum);
        return;
      }
      groups.add(name, plain, part -> content(entry, gzip, rules.limit(part)));
    }

    private Sample.Loaded content(Archive.Entry entry, boolean gzip, long limit)
        throws IOException {
      Sample.Loaded loaded = data(entry, limit);
      if (!gzip || loaded.bytes() == null) {
        return loaded;
      }
      try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(loaded.bytes()))) {
        return loaded(MemberContent.read(in, limit), limit);
      } catch (IOException e) {
        return broken(Problem.UNREADABLE, detail(e));
      }
    }

    private Sample.Loaded data(Archive.Entry entry, long limit) throws IOException {
      String target = Archive.shown(entry.target());
      return switch (entry.kind()) {
        case FILE -> loaded(archive.read(limit), limit);
        case SPARSE -> broken(Problem.UNREADABLE, "the member is stored as a sparse file");
        case ENCRYPTED -> broken(Problem.UNREADABLE, "the member is encrypted");
        case SYMBOLIC_LINK ->
            broken(
                Problem.LINK,
                target.isEmpty()
                    ? "the member is a symbolic link, which is not followed"
                    : message(
                        "the member is a symbolic link to %s, which is not followed", target));
        case HARD_LINK ->
            links == null
                ? broken(
                    Problem.LINK,
                    message(
                        "the member is a hard link to %s, which a packed archive does not give a second time: unpack the archive",
                        target))
                : links.read(entry.target(), limit);
        case OTHER -> throw new IllegalStateException(message("%s has no data", entry.name()));
      };
    }

    @Override
    public void close() throws IOException {
      archive.close();
    }
  }

  private static Sample.Loaded loaded(byte[] bytes, long limit) {
    return new Sample.Loaded(bytes, bytes == null ? MemberContent.tooLarge(limit) : null);
  }

  private static Sample.Loaded broken(String reason, String detail) {
    return new Sample.Loaded(null, new Problem(reason, detail));
  }

  /** An archive that was cut off has none, and nothing else tells it from a whole one. */
  private static boolean hasZipDirectory(Configuration configuration, Path path)
      throws IOException {
    long length = Storage.of(configuration, path).getFileStatus(path).getLen();
    try (RawInput raw = RawInput.openListed(configuration, path, Math.max(0, length - ZIP_END))) {
      String end = new String(raw.readNBytes(ZIP_END), StandardCharsets.ISO_8859_1);
      return end.contains("PK\u0005\u0006");
    }
  }

  /** What lies beside an archive is asked once, and only when a text needs it. */
  private static final class OnceAsked implements Sample.Lines {
    private final Sample.Lines question;
    private Boolean answer;

    OnceAsked(Sample.Lines question) {
      this.question = question;
    }

    @Override
    public boolean areCaptions() throws IOException {
      if (answer == null) {
        answer = question.areCaptions();
      }
      return answer;
    }
  }
}
