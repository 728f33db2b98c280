package io.github.kklip.text;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.ModelLimits;
import io.github.kklip.store.publication.SmallFile;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;

/**
 * The student's tokenizer: a Hugging Face {@code tokenizer.json} in CLIP's form, which puts a start
 * and an end token around every caption.
 *
 * <p>{@link #encode} may be called from several threads at once; {@link #close} by the owner, after
 * the last call.
 */
public final class StudentTokenizer implements AutoCloseable {
  /** The value of {@code eos_token_id} in old CLIP configurations: pool at the highest id. */
  private static final int POOL_AT_HIGHEST_ID = 2;

  private final TokenizerFile file;
  private final String source;
  private final int startId;
  private final int endId;

  private StudentTokenizer(TokenizerFile file, String source) {
    this.file = file;
    this.source = source;
    int[] frame = file.encode("", true);
    if (frame.length != 2) {
      file.close();
      throw new TokenizerException(
          message(
              "Cannot use the tokenizer because it puts %s tokens around a caption instead of CLIP's start and end token: %s. Take the tokenizer of a CLIP model, or train one with `tokenizer`.",
              frame.length, source));
    }
    startId = frame[0];
    endId = frame[1];
  }

  /**
   * Loads the tokenizer of a local folder.
   *
   * @param folder a folder with {@code tokenizer.json}
   * @throws TokenizerException when it is missing, unreadable or not in CLIP's form
   */
  public static StudentTokenizer load(Path folder) {
    // Not the URI as text, in which spaces are escaped: Hadoop would take the escapes for names.
    return load(new org.apache.hadoop.fs.Path(folder.toUri()).toString(), new Configuration(false));
  }

  /** As {@link #load(Path)}, from any file system that Hadoop knows. */
  public static StudentTokenizer load(String folder, Configuration configuration) {
    String json;
    var path = new org.apache.hadoop.fs.Path(folder, "tokenizer.json");
    try {
      FileSystem fileSystem = Storage.of(configuration, path);
      if (!fileSystem.exists(path)) {
        throw new TokenizerException(
            message(
                "Cannot load the student's tokenizer because there is no tokenizer.json in its folder: %s. Run `tokenizer`, or set student.tokenizer to the folder of a CLIP tokenizer.",
                folder));
      }
      try (InputStream in = fileSystem.open(path)) {
        json =
            new String(
                SmallFile.read(in, path.toString(), ModelLimits.TOKENIZER_BYTES),
                StandardCharsets.UTF_8);
      }
    } catch (IOException e) {
      throw new TokenizerException(
          message(
              "Cannot load the student's tokenizer because reading failed: %s. Check the folder and its permissions. (%s)",
              path, e.getMessage()),
          e);
    }
    return parse(json, path.toString());
  }

  /**
   * Makes a tokenizer from the text of a {@code tokenizer.json}.
   *
   * @param source where it is from, for errors
   */
  public static StudentTokenizer parse(String json, String source) {
    return new StudentTokenizer(TokenizerFile.parse(json, source), source);
  }

  /**
   * Ids of a caption, not padded: the start token, the caption's tokens, the end token. A long
   * caption loses its last tokens, never the end token, which is where the model pools.
   *
   * @param contextLength most ids to give, the two special ones included; at least 2
   */
  public int[] encode(String caption, int contextLength) {
    if (contextLength < 2) {
      throw new IllegalArgumentException(
          message(
              "Cannot encode into a context of %s: start and end token need 2.", contextLength));
    }
    int[] ids = file.encode(caption, true);
    if (ids.length <= contextLength) {
      return ids;
    }
    int[] cut = java.util.Arrays.copyOf(ids, contextLength);
    cut[contextLength - 1] = endId;
    return cut;
  }

  /** Highest id + 1. */
  public int vocabSize() {
    return file.vocabSize();
  }

  public int startId() {
    return startId;
  }

  public int endId() {
    return endId;
  }

  /** What fills a batch behind the end token: the end token again, as CLIP's tokenizer does. */
  public int padId() {
    return endId;
  }

  /**
   * Refuses a student whose configuration does not fit this tokenizer.
   *
   * @param modelVocabSize {@code vocab_size} of the student's text configuration
   * @param modelEndId its {@code eos_token_id}; 2 stands for "the highest id of the text", as in
   *     CLIP's first configurations
   */
  public void checkFits(int modelVocabSize, int modelEndId) {
    if (vocabSize() > modelVocabSize) {
      throw new TokenizerException(
          message(
              "Cannot train this student with this tokenizer because the tokenizer has %s ids and the student vocab_size %s: %s. Set vocab_size in student.config, or choose another student.tokenizer.",
              vocabSize(), modelVocabSize, source));
    }
    int expected = modelEndId == POOL_AT_HIGHEST_ID ? vocabSize() - 1 : modelEndId;
    if (endId != expected) {
      throw new TokenizerException(
          message(
              "Cannot train this student with this tokenizer because the tokenizer ends captions with id %s and the student pools at id %s: %s. Set eos_token_id in student.config, or choose another student.tokenizer.",
              endId, expected, source));
    }
  }

  @Override
  public void close() {
    file.close();
  }
}
