package io.github.kklip.ingest;

import static io.github.kklip.config.Message.message;

import io.github.kklip.ingest.sources.Note;
import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;

/**
 * What a source held at one place, after all checks but the one for duplicates. It travels as
 * bytes, which every Spark serializer carries.
 */
sealed interface Candidate {
  /**
   * Will be a row, unless another candidate has the same id.
   *
   * @param hash the image's perceptual hash, where it is asked for
   */
  record Accepted(Pair pair, String key, long hash) implements Candidate {
    Reject duplicate() {
      return new Reject(
          pair.source(), key, Problem.DUPLICATE, "the same image and caption as another row");
    }

    Reject excluded(Problem problem) {
      return new Reject(pair.source(), key, problem.reason(), problem.detail());
    }

    /** The same as a further row of its id: the n-th after the first. */
    Pair repeated(int n) {
      return new Pair(
          Identity.ofCopy(pair.id(), n),
          pair.imageId(),
          pair.caption(),
          pair.image(),
          pair.width(),
          pair.height(),
          pair.source());
    }
  }

  record Rejected(Reject reject) implements Candidate {}

  /** What was counted beside candidates. */
  record Noted(Note note, long count) implements Candidate {}

  default byte[] encode() {
    int size = this instanceof Accepted accepted ? accepted.pair.image().length + 512 : 256;
    ByteArrayOutputStream bytes = new ByteArrayOutputStream(size);
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      if (this instanceof Accepted accepted) {
        Pair pair = accepted.pair;
        out.writeByte(0);
        text(out, pair.id());
        text(out, pair.imageId());
        text(out, pair.caption());
        out.writeInt(pair.image().length);
        out.write(pair.image());
        out.writeInt(pair.width());
        out.writeInt(pair.height());
        text(out, pair.source());
        text(out, accepted.key);
        out.writeLong(accepted.hash);
      } else if (this instanceof Rejected rejected) {
        out.writeByte(1);
        text(out, rejected.reject.source());
        text(out, rejected.reject.key());
        text(out, rejected.reject.reason());
        text(out, rejected.reject.detail());
      } else if (this instanceof Noted noted) {
        out.writeByte(2);
        text(out, noted.note.name());
        out.writeLong(noted.count);
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  static Candidate decode(byte[] bytes) {
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
      byte kind = in.readByte();
      return switch (kind) {
        case 0 ->
            new Accepted(
                new Pair(
                    text(in),
                    text(in),
                    text(in),
                    in.readNBytes(in.readInt()),
                    in.readInt(),
                    in.readInt(),
                    text(in)),
                text(in),
                in.readLong());
        case 1 -> new Rejected(new Reject(text(in), text(in), text(in), text(in)));
        case 2 -> new Noted(Note.valueOf(text(in)), in.readLong());
        default ->
            throw new IllegalStateException(message("Cannot read a candidate of kind %s", kind));
      };
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static void text(DataOutputStream out, String text) throws IOException {
    byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
    out.writeInt(bytes.length);
    out.write(bytes);
  }

  private static String text(DataInputStream in) throws IOException {
    return new String(in.readNBytes(in.readInt()), StandardCharsets.UTF_8);
  }
}
