package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.config.IngestSettings;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.Member.Picture;
import io.github.kklip.store.publication.ContentKind;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Storage;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * WebDataset archives: tar files, also gzipped, in which consecutive members whose names agree up
 * to the first dot of the last part are one sample. Members may be gzipped ({@code 0001.txt.gz}).
 *
 * <p>Captions come from the field of a {@code .json} member that {@code caption-column} names (else
 * {@code caption}, {@code captions} or {@code text}), a text or a list of texts; where there is
 * none, and no column was named, from the {@code .txt} member.
 */
public record WebDatasetReader(String captionField, IngestSettings limits) implements SourceReader {
  private static final Logger LOG = LoggerFactory.getLogger(WebDatasetReader.class);

  /** Decompressed bytes that are not counted: a small archive may well expand a lot. */
  private static final long FREE_BYTES = 16L << 20;

  /** Between headers lie images: a larger buffer would read what is skipped. */
  private static final int HEADERS_BUFFER = 4096;

  private static final List<String> CAPTION_FIELDS = List.of("caption", "captions", "text");

  /** A long archive that is not compressed is cut between samples, from one look at its headers. */
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
      for (TarReader.Entry entry = tar.next(); entry != null; entry = tar.next()) {
        String key = sampleKey(entry.name());
        if (entry.offset() - from >= piece && !key.equals(last)) {
          units.add(new Unit(file.source(), file.path(), units.size(), from, members, List.of()));
          from = entry.offset();
          members = 0;
        }
        last = key;
        members++;
      }
    } catch (IOException e) {
      // Compressed or damaged: reading the last piece, to the archive's end, tells which.
      LOG.debug("Cannot look further into {}", file.path(), e);
    }
    units.add(new Unit(file.source(), file.path(), units.size(), from, 0, List.of()));
    return units;
  }

  @Override
  public Members open(Configuration configuration, Unit unit) throws IOException {
    RawInput raw = RawInput.openListed(configuration, new Path(unit.path()), unit.from());
    try {
      return new Archive(configuration, raw, unit);
    } catch (IOException e) {
      raw.close();
      return Members.of(Member.problem("", Problem.UNREADABLE, detail(e)));
    }
  }

  /** What an archive of which nothing can be read is, or else {@code otherwise}. */
  private String whatItIs(Configuration configuration, Unit unit, String otherwise) {
    byte[] head;
    try (RawInput raw = RawInput.openListed(configuration, new Path(unit.path()), 0);
        InputStream in = unzipped(raw)) {
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

  /** {@code a/b/0001.seg.png} belongs to {@code a/b/0001}. */
  private static String sampleKey(String name) {
    int dot = name.indexOf('.', name.lastIndexOf('/') + 1);
    return dot < 0 ? name : name.substring(0, dot);
  }

  /** A stream that a bomb cannot make endless: it fails when it expands too much. */
  private InputStream unzipped(InputStream raw) throws IOException {
    Counting packed = new Counting(new BufferedInputStream(raw, 1 << 16));
    packed.mark(2);
    byte[] magic = packed.readNBytes(2);
    packed.reset();
    if (magic.length < 2 || magic[0] != 0x1F || (magic[1] & 0xFF) != 0x8B) {
      return packed;
    }
    return new Counting(new GZIPInputStream(packed, 1 << 16)) {
      @Override
      void check() throws IOException {
        if (count > FREE_BYTES && count > limits.maxExpansion() * packed.count) {
          throw new IOException(
              message(
                  "the archive expands more than %s times, the limit that ingest.max-expansion sets",
                  limits.maxExpansion()));
        }
      }
    };
  }

  private static class Counting extends FilterInputStream {
    long count;

    Counting(InputStream in) {
      super(in);
    }

    /** Called after every read. */
    void check() throws IOException {}

    private int add(int bytes) throws IOException {
      count += Math.max(0, bytes);
      check();
      return bytes;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      return add(super.read(bytes, offset, length));
    }

    @Override
    public long skip(long bytes) throws IOException {
      return add((int) super.skip(Math.min(bytes, 1 << 20)));
    }
  }

  /** The members of one sample as they are read. */
  private static final class Sample {
    final String key;
    final List<Picture> pictures = new ArrayList<>();
    final List<Caption> textCaptions = new ArrayList<>();
    final List<Caption> jsonCaptions = new ArrayList<>();
    int ignored;
    int texts;
    long bytes;

    Sample(String key) {
      this.key = key;
    }

    boolean isWhole() {
      return pictures.isEmpty() || !captions().isEmpty();
    }

    List<Caption> captions() {
      return jsonCaptions.isEmpty() ? textCaptions : jsonCaptions;
    }

    Member member() {
      return pictures.isEmpty()
          ? Member.ignored(key, ignored + texts)
          : new Member(key, pictures, captions(), ignored, List.of());
    }
  }

  private final class Archive implements Members {
    private final Configuration configuration;
    private final Unit unit;
    private final TarReader tar;
    private final boolean toTheEnd;
    private long unread;
    private Sample sample;
    private boolean started;
    private boolean ended;
    private Member last;

    Archive(Configuration configuration, RawInput raw, Unit unit) throws IOException {
      this.configuration = configuration;
      this.unit = unit;
      tar = new TarReader(unzipped(raw), unit.from());
      toTheEnd = unit.count() == 0;
      unread = unit.count();
      started = unit.part() > 0;
    }

    @Override
    public Member next() {
      while (!ended) {
        Member whole = step();
        if (whole != null) {
          return whole;
        }
      }
      Member result = last;
      last = null;
      return result;
    }

    /** Reads one archive member; gives the sample that ended before it. */
    private Member step() {
      String name = "";
      try {
        TarReader.Entry entry = toTheEnd || unread-- > 0 ? tar.next() : null;
        if (entry == null) {
          ended = true;
          return finish(null);
        }
        started = true;
        if (entry.kind() == TarReader.MemberKind.OTHER) {
          return Member.ignored(entry.name(), 1);
        }
        name = entry.name();
        String key = sampleKey(name);
        Member before = sample != null && !sample.key.equals(key) ? finish(null) : null;
        if (sample == null) {
          sample = new Sample(key);
        }
        add(entry);
        return before;
      } catch (IOException e) {
        return cut(name, e);
      }
    }

    /** What the archive still gave is kept; the cut itself is one reject. */
    private Member cut(String name, Exception e) {
      ended = true;
      last =
          started
              ? Member.problem(name, Problem.CUT_SHORT, detail(e))
              : Member.problem(name, Problem.UNREADABLE, whatItIs(configuration, unit, detail(e)));
      if (sample == null) {
        return null;
      }
      // The rest of this sample may have been in what was cut off.
      boolean torn = !sample.isWhole() || sample.key.equals(sampleKey(name));
      if (torn) {
        last = Member.problem(sample.key, Problem.CUT_SHORT, detail(e));
        int ignored = sample.ignored;
        sample = null;
        return ignored == 0 ? null : Member.ignored(last.key(), ignored);
      }
      return finish(null);
    }

    private Member finish(Sample next) {
      Member member = sample == null ? null : sample.member();
      sample = next;
      return member;
    }

    private void add(TarReader.Entry entry) throws IOException {
      String name = entry.name();
      boolean gzip = MemberContent.extension(name).equals("gz");
      String plain = gzip ? name.substring(0, name.length() - 3) : name;
      String extension = MemberContent.extension(plain);
      boolean caption = extension.equals("txt") || extension.equals("json");
      if (!caption && !MemberContent.isImage(plain)) {
        sample.ignored++;
        return;
      }
      long limit =
          caption
              ? Math.min(limits.captions().maxCaptionBytes(), limits.images().maxBytes())
              : limits.images().maxBytes();
      // All members of a sample are in memory together.
      boolean crowded = sample.bytes > 2 * limits.images().maxBytes();
      boolean sparse = entry.kind() == TarReader.MemberKind.SPARSE;
      byte[] bytes = crowded || sparse ? null : tar.read(limit);
      Problem problem =
          sparse
              ? new Problem(Problem.UNREADABLE, "the member is stored as a sparse file")
              : crowded
                  ? new Problem(
                      Problem.MEMBER_TOO_LARGE, "the other members of its sample are too large")
                  : bytes == null ? MemberContent.tooLarge(limit) : null;
      if (gzip && bytes != null) {
        try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(bytes))) {
          bytes = MemberContent.read(in, limit);
          problem = bytes == null ? MemberContent.tooLarge(limit) : null;
        } catch (IOException e) {
          problem = new Problem(Problem.UNREADABLE, detail(e));
        }
      }
      sample.bytes += bytes == null ? 0 : bytes.length;
      if (!caption) {
        sample.pictures.add(
            problem == null ? Picture.of(plain, bytes) : Picture.broken(plain, problem));
        return;
      }
      sample.texts++;
      if (problem != null) {
        sample.jsonCaptions.add(Caption.broken(name, problem));
      } else if (extension.equals("json")) {
        sample.jsonCaptions.addAll(jsonCaptions(name, bytes));
      } else if (captionField.isEmpty()) {
        sample.textCaptions.add(MemberContent.caption("", bytes));
      }
    }

    private List<Caption> jsonCaptions(String name, byte[] bytes) {
      String text = MemberContent.utf8(bytes);
      if (text == null) {
        return List.of(Caption.broken(name, MemberContent.encodingProblem()));
      }
      JsonNode object;
      try {
        object = Json.tree(text);
      } catch (JsonProcessingException e) {
        return List.of(
            Caption.broken(name, new Problem(Problem.JSON_MALFORMED, e.getOriginalMessage())));
      }
      for (String field : captionField.isEmpty() ? CAPTION_FIELDS : List.of(captionField)) {
        List<Caption> captions = captions(object.get(field));
        if (!captions.isEmpty()) {
          return captions;
        }
      }
      return List.of();
    }

    private List<Caption> captions(JsonNode value) {
      List<Caption> captions = new ArrayList<>();
      if (value != null && value.isTextual()) {
        captions.add(Caption.of("", value.textValue()));
      } else if (value != null && value.isArray()) {
        for (JsonNode element : value) {
          String name = "caption " + captions.size();
          captions.add(
              element.isTextual()
                  ? Caption.of(name, element.textValue())
                  : Caption.broken(
                      name, new Problem(Problem.JSON_MALFORMED, "the caption is not a text")));
        }
      }
      return captions;
    }

    @Override
    public void close() throws IOException {
      tar.close();
    }
  }
}
