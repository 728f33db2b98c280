package io.github.kklip.text;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.SmallFile;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.OptionalInt;

/**
 * The teacher's tokenizer: Llama 2's ids with the start token (BOS) first and no end token.
 *
 * <p>Reads {@code tokenizer.json}; where a folder has only the original {@code tokenizer.model}, it
 * is converted in memory (see {@link SentencePieceModel}).
 *
 * <p>{@link #encode} may be called from several threads at once; {@link #close} by the owner, after
 * the last call.
 */
public final class TeacherTokenizer implements AutoCloseable {
  private final TokenizerFile file;
  private final int startId;

  private TeacherTokenizer(TokenizerFile file, int startId) {
    this.file = file;
    this.startId = startId;
  }

  /**
   * Loads the tokenizer of a local folder.
   *
   * @param folder a folder with {@code tokenizer.json} or {@code tokenizer.model}
   * @param vocabulary ids that the model has; special tokens beyond them, which were added without
   *     the model, are not looked for in captions
   * @throws TokenizerException when it has neither, or one that is not Llama's kind or gives ids
   *     that the model lacks
   */
  public static TeacherTokenizer load(Path folder, int vocabulary) {
    Path json = folder.resolve("tokenizer.json");
    Path model = folder.resolve("tokenizer.model");
    try {
      TokenizerFile file;
      if (Files.exists(json)) {
        byte[] bytes = SmallFile.read(json, ModelLimits.TOKENIZER_BYTES);
        file = TokenizerFile.parse(new String(bytes, StandardCharsets.UTF_8), json.toString());
      } else if (Files.exists(model)) {
        byte[] bytes = SmallFile.read(model, ModelLimits.TOKENIZER_BYTES);
        JsonNode converted = SentencePieceModel.parse(bytes, model.toString()).toTokenizerJson();
        file = TokenizerFile.of(converted, model.toString());
      } else {
        throw new TokenizerException(
            message(
                "Cannot load the teacher's tokenizer because its folder has neither tokenizer.json nor tokenizer.model: %s. Set teacher.path to a whole Llama folder.",
                folder));
      }
      TokenizerFile fitted = file.within(vocabulary, folder.toString());
      try {
        return new TeacherTokenizer(fitted, startId(fitted, folder, vocabulary));
      } catch (IOException | RuntimeException e) {
        fitted.close();
        throw e;
      }
    } catch (IOException e) {
      throw new TokenizerException(
          message(
              "Cannot load the teacher's tokenizer because reading failed: %s. Check the files and their permissions. (%s)",
              folder, e.getMessage()),
          e);
    }
  }

  /** The token that the file puts before a text, else the one that its configuration names. */
  private static int startId(TokenizerFile file, Path folder, int vocabulary) throws IOException {
    int[] before = file.before("a");
    if (before.length > 1) {
      throw new TokenizerException(
          message(
              "Cannot use the teacher's tokenizer because it puts %s tokens before a text instead of one start token: %s. Take the tokenizer of a Llama model.",
              before.length, folder));
    }
    int start = before.length == 1 ? before[0] : configuredStart(file, folder);
    if (start >= vocabulary) {
      throw new TokenizerException(
          message(
              "Cannot use the teacher's tokenizer because its start token has the id %s and the model %s ids: %s. They belong to different models.",
              start, vocabulary, folder));
    }
    return start;
  }

  /** What is put behind a text, such as an end token, is no part of an embedding. */
  private static int configuredStart(TokenizerFile file, Path folder) throws IOException {
    Path path = folder.resolve("tokenizer_config.json");
    OptionalInt named = OptionalInt.empty();
    if (Files.exists(path)) {
      JsonNode token = Json.tree(SmallFile.read(path, ModelLimits.CONFIG_BYTES)).path("bos_token");
      named = file.id(token.isObject() ? token.path("content").asText() : token.asText());
    }
    return named.orElseThrow(
        () ->
            new TokenizerException(
                message(
                    "Cannot use the teacher's tokenizer because neither tokenizer.json nor tokenizer_config.json names a start token: %s. Set bos_token in tokenizer_config.json.",
                    folder)));
  }

  /**
   * Ids of a caption: the start token, then the caption's tokens, cut at the end.
   *
   * @param maxLength most ids to give, the start token included; at least 1
   */
  public int[] encode(String caption, int maxLength) {
    if (maxLength < 1) {
      throw new IllegalArgumentException(
          message("Cannot encode into %s ids: the start token needs 1.", maxLength));
    }
    int[] ids = file.encode(caption, false);
    int[] result = new int[Math.min(ids.length + 1, maxLength)];
    result[0] = startId;
    System.arraycopy(ids, 0, result, 1, result.length - 1);
    return result;
  }

  /** Highest id + 1. */
  public int vocabSize() {
    return file.vocabSize();
  }

  public int startId() {
    return startId;
  }

  @Override
  public void close() {
    file.close();
  }
}
