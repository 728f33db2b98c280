package io.github.kklip.ingest;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.ingest.Member.Caption;
import io.github.kklip.ingest.Member.Picture;
import java.io.BufferedInputStream;
import java.io.ByteArrayInputStream;
import java.io.EOFException;
import java.io.FilterInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PushbackInputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPInputStream;
import org.apache.commons.compress.archivers.tar.TarArchiveEntry;
import org.apache.commons.compress.archivers.tar.TarArchiveInputStream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * WebDataset archives: tar files, also gzipped, in which consecutive members whose names agree up
 * to the first dot of the last part are one sample. Members may be gzipped ({@code 0001.txt.gz}).
 *
 * <p>Captions come from the field of a {@code .json} member that {@code caption-column} names (else
 * {@code caption}, {@code captions} or {@code text}), a text or a list of texts; where there is
 * none, and no column was named, from the {@code .txt} member.
 */
record WebDatasetReader(String captionField, long maxBytes) implements SourceReader {
  private static final ObjectMapper JSON = new ObjectMapper();
  private static final List<String> CAPTION_FIELDS = List.of("caption", "captions", "text");

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) {
    return List.of(file);
  }

  @Override
  public Members open(Configuration configuration, Unit unit) throws IOException {
    RawInput raw;
    try {
      raw = RawInput.open(configuration, new Path(unit.path()), 0);
    } catch (RawInput.OpeningException e) {
      return Members.of(Member.problem("", e.problem().reason(), e.problem().detail()));
    }
    try {
      return new Archive(raw);
    } catch (IOException e) {
      raw.close();
      return Members.of(Member.problem("", Problem.UNREADABLE, detail(e)));
    }
  }

  private static String detail(Exception e) {
    return e.getMessage() == null ? e.getClass().getSimpleName() : e.getMessage();
  }

  /** {@code a/b/0001.seg.png} belongs to {@code a/b/0001}. */
  private static String sampleKey(String name) {
    int dot = name.indexOf('.', name.lastIndexOf('/') + 1);
    return dot < 0 ? name : name.substring(0, dot);
  }

  private static InputStream unzipped(InputStream in) throws IOException {
    PushbackInputStream start = new PushbackInputStream(in, 2);
    byte[] magic = start.readNBytes(2);
    start.unread(magic);
    boolean gzip = magic.length == 2 && magic[0] == 0x1F && (magic[1] & 0xFF) == 0x8B;
    return gzip ? new GZIPInputStream(start, 1 << 16) : start;
  }

  /** The members of one sample as they are read. */
  private static final class Sample {
    final String key;
    final List<Picture> pictures = new ArrayList<>();
    final List<Caption> textCaptions = new ArrayList<>();
    final List<Caption> jsonCaptions = new ArrayList<>();
    int ignored;
    int texts;

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

  /**
   * Tells whether what was read last is the end mark of an archive, blocks of zeros: an archive
   * that was cut between two members ends without, and the tar reader takes that for its end.
   */
  private static final class Ending extends FilterInputStream {
    private static final int BLOCK = 512;

    private int zeros;

    Ending(InputStream in) {
      super(in);
    }

    boolean isMarked() {
      return zeros >= BLOCK;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xFF;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      int count = super.read(bytes, offset, length);
      int trailing = 0;
      while (trailing < count && trailing < BLOCK && bytes[offset + count - 1 - trailing] == 0) {
        trailing++;
      }
      if (count > 0) {
        zeros = trailing == count ? Math.min(BLOCK, zeros + count) : trailing;
      }
      return count;
    }

    @Override
    public long skip(long count) throws IOException {
      return readNBytes((int) Math.min(count, 1 << 16)).length;
    }

    @Override
    public boolean markSupported() {
      return false;
    }
  }

  private final class Archive implements Members {
    private final Ending ending;
    private final TarArchiveInputStream tar;
    private Sample sample;
    private boolean started;
    private boolean ended;
    private Member last;

    Archive(RawInput raw) throws IOException {
      ending = new Ending(unzipped(new BufferedInputStream(raw, 1 << 16)));
      tar = new TarArchiveInputStream(ending);
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
        TarArchiveEntry entry = tar.getNextEntry();
        if (entry == null) {
          if (!ending.isMarked()) {
            throw new EOFException("the archive has no end mark");
          }
          ended = true;
          return finish(null);
        }
        if (!entry.isCheckSumOK()) {
          throw new IOException("the checksum of a member's header is wrong");
        }
        started = true;
        if (!entry.isFile()) {
          return Member.ignored(entry.getName(), 1);
        }
        name = entry.getName();
        String key = sampleKey(name);
        Member before = sample != null && !sample.key.equals(key) ? finish(null) : null;
        if (sample == null) {
          sample = new Sample(key);
        }
        add(entry);
        return before;
      } catch (IOException | IllegalArgumentException e) {
        return cut(name, e);
      }
    }

    /** What the archive still gave is kept; the cut itself is one reject. */
    private Member cut(String name, Exception e) {
      ended = true;
      last = Member.problem(name, started ? Problem.CUT_SHORT : Problem.UNREADABLE, detail(e));
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

    private void add(TarArchiveEntry entry) throws IOException {
      String name = entry.getName();
      boolean gzip = Content.extension(name).equals("gz");
      String plain = gzip ? name.substring(0, name.length() - 3) : name;
      String extension = Content.extension(plain);
      boolean caption = extension.equals("txt") || extension.equals("json");
      if (!caption && !Content.isImage(plain)) {
        sample.ignored++;
        return;
      }
      byte[] bytes = entry.getSize() > maxBytes ? null : Content.read(tar, maxBytes);
      Problem problem = bytes == null ? Content.tooLarge(maxBytes) : null;
      if (gzip && bytes != null) {
        try (InputStream in = new GZIPInputStream(new ByteArrayInputStream(bytes))) {
          bytes = Content.read(in, maxBytes);
          problem = bytes == null ? Content.tooLarge(maxBytes) : null;
        } catch (IOException e) {
          problem = new Problem(Problem.UNREADABLE, detail(e));
        }
      }
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
        sample.textCaptions.add(Content.caption("", bytes));
      }
    }

    private List<Caption> jsonCaptions(String name, byte[] bytes) {
      String text = Content.utf8(bytes);
      if (text == null) {
        return List.of(Caption.broken(name, Content.encodingProblem()));
      }
      JsonNode object;
      try {
        object = JSON.readTree(text);
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
