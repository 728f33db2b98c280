package io.github.kklip.text;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.ModelLimits;
import io.github.kklip.store.publication.SmallFile;
import io.github.kklip.store.publication.Storage;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;

/**
 * The student's tokenizer: a Hugging Face {@code tokenizer.json} in CLIP's form, or {@code
 * vocab.json} with {@code merges.txt}; it puts a start and an end token around every caption.
 *
 * <p>{@link #encode} may be called from several threads at once; {@link #close} by the owner, after
 * the last call.
 */
public final class StudentTokenizer implements AutoCloseable {
  /** The file of a tokenizer that is whole in itself. */
  public static final String FILE = "tokenizer.json";

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
   * @param folder a folder with {@code tokenizer.json}, or {@code vocab.json} and {@code
   *     merges.txt}
   * @throws TokenizerException when it is missing, unreadable or not in CLIP's form
   */
  public static StudentTokenizer load(Path folder) {
    // Not the URI as text, in which spaces are escaped: Hadoop would take the escapes for names.
    return load(new org.apache.hadoop.fs.Path(folder.toUri()).toString(), new Configuration(false));
  }

  /** As {@link #load(Path)}, from any file system that Hadoop knows. */
  public static StudentTokenizer load(String folder, Configuration configuration) {
    return parse(json(folder, configuration), folder);
  }

  /** Whether a folder has a tokenizer. */
  public static boolean isIn(String folder, Configuration configuration) throws IOException {
    var path = Storage.path(folder, configuration);
    FileSystem fileSystem = Storage.of(configuration, path);
    return fileSystem.exists(new org.apache.hadoop.fs.Path(path, FILE))
        || (fileSystem.exists(new org.apache.hadoop.fs.Path(path, VocabularyFiles.VOCABULARY))
            && fileSystem.exists(new org.apache.hadoop.fs.Path(path, VocabularyFiles.MERGES)));
  }

  /**
   * The text of a folder's {@code tokenizer.json}, which is made where the folder has only {@code
   * vocab.json} and {@code merges.txt}.
   *
   * @throws TokenizerException when it has neither, or they cannot be read
   */
  public static String json(String folder, Configuration configuration) {
    var path = Storage.path(folder, configuration);
    VocabularyFiles.Files files =
        name -> read(new org.apache.hadoop.fs.Path(path, name), configuration);
    try {
      if (!isIn(folder, configuration)) {
        throw new TokenizerException(
            message(
                "Cannot load the student's tokenizer because there is no tokenizer.json in its folder, nor vocab.json with merges.txt: %s. Run `tokenizer`, or set student.tokenizer to the folder of a CLIP tokenizer.",
                folder));
      }
      Optional<byte[]> whole = files.read(FILE);
      return whole.isPresent()
          ? new String(whole.get(), StandardCharsets.UTF_8)
          : VocabularyFiles.tokenizerJson(files, folder).toString();
    } catch (IOException e) {
      throw new TokenizerException(
          message(
              "Cannot load the student's tokenizer because reading failed: %s. Check the folder and its permissions. (%s)",
              path, e.getMessage()),
          e);
    }
  }

  private static Optional<byte[]> read(org.apache.hadoop.fs.Path file, Configuration configuration)
      throws IOException {
    try (InputStream in = Storage.of(configuration, file).open(file)) {
      return Optional.of(SmallFile.read(in, file.toString(), ModelLimits.TOKENIZER_BYTES));
    } catch (FileNotFoundException e) {
      return Optional.empty();
    }
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
