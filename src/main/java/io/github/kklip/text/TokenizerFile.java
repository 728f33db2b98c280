package io.github.kklip.text;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Message.shown;

import ai.djl.engine.EngineException;
import ai.djl.huggingface.tokenizers.HuggingFaceTokenizer;
import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.store.publication.Json;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Map;
import java.util.OptionalInt;
import java.util.Set;

/**
 * A Hugging Face {@code tokenizer.json}: its ids by the native {@code tokenizers} library, and what
 * the library's binding does not tell (the size of the vocabulary, the id of a token).
 *
 * <p>Encoding is safe from several threads: the native tokenizer is only read. Closing is not; the
 * owner closes after the last call.
 */
final class TokenizerFile implements AutoCloseable {
  static {
    // Off line the library takes the CPU build out of its own jar; on line it would report its use,
    // and look for a CUDA build on machines with a GPU.
    if (System.getenv("DJL_OFFLINE") == null && System.getProperty("ai.djl.offline") == null) {
      System.setProperty("ai.djl.offline", "true");
    }
  }

  private final HuggingFaceTokenizer tokenizer;
  private final JsonNode root;
  private final int vocabSize;

  private TokenizerFile(HuggingFaceTokenizer tokenizer, JsonNode root) {
    this.tokenizer = tokenizer;
    this.root = root;
    int highest = -1;
    for (JsonNode id : root.path("model").path("vocab")) {
      highest = Math.max(highest, id.asInt());
    }
    for (JsonNode added : root.path("added_tokens")) {
      highest = Math.max(highest, added.path("id").asInt());
    }
    vocabSize = highest + 1;
  }

  /**
   * @param json text of a {@code tokenizer.json}
   * @param source where it is from, for errors
   */
  static TokenizerFile parse(String json, String source) {
    try {
      return of(Json.tree(json), source);
    } catch (JsonProcessingException e) {
      throw new TokenizerException(
          message(
              "Cannot load the tokenizer of %s because %s. Fetch or write the file again.",
              source, Json.notJson(json.getBytes(StandardCharsets.UTF_8), e)),
          e);
    }
  }

  static TokenizerFile of(JsonNode root, String source) {
    if (!root.path("model").isObject()) {
      throw new TokenizerException(
          message(
              "Cannot load the tokenizer because it has no \"model\": %s. It must be a Hugging Face tokenizer.json.",
              source));
    }
    String type = root.path("model").path("type").asText("BPE");
    if (!type.equals("BPE")) {
      throw new TokenizerException(
          message(
              "Cannot use the tokenizer because its model is %s, not BPE: %s. CLIP's and Llama's tokenizers are BPE.",
              shown(type), source));
    }
    requireSaneSizes(root, source);
    // A file saved after use can hold a truncation or padding of its own, which would change ids.
    ObjectNode plain = ((ObjectNode) root).deepCopy();
    plain.putNull("truncation").putNull("padding");
    byte[] bytes = plain.toString().getBytes(StandardCharsets.UTF_8);
    try {
      return new TokenizerFile(
          HuggingFaceTokenizer.newInstance(
              new ByteArrayInputStream(bytes), Map.of("truncation", "false", "padding", "false")),
          root);
    } catch (IOException | RuntimeException e) {
      String todo =
          e instanceof EngineException
              ? ". Run `doctor`: the native library could not be loaded."
              : ". It must be a Hugging Face tokenizer.json.";
      throw new TokenizerException(
          message(
              "Cannot load the tokenizer because the tokenizers library refuses it: %s%s (%s)",
              source, todo, e.getMessage()),
          e);
    }
  }

  /**
   * Before anything is made of the file: of these sizes are the tables of the library and model.
   */
  private static void requireSaneSizes(JsonNode root, String source) {
    JsonNode vocabulary = root.path("model").path("vocab");
    requireAtMost("tokens in its vocabulary", vocabulary.size(), ModelLimits.VOCABULARY, source);
    for (Map.Entry<String, JsonNode> token : vocabulary.properties()) {
      requireToken(token.getKey(), token.getValue(), source);
    }
    JsonNode added = root.path("added_tokens");
    requireAtMost("added tokens", added.size(), ModelLimits.VOCABULARY, source);
    for (JsonNode token : added) {
      requireToken(token.path("content").asText(), token.path("id"), source);
    }
    int merges = root.path("model").path("merges").size();
    requireAtMost("merges", merges, ModelLimits.MERGES, source);
  }

  private static void requireToken(String token, JsonNode id, String source) {
    requireAtMost("characters in a token", token.length(), ModelLimits.TOKEN_LENGTH, source);
    if (!id.isInt() || id.intValue() < 0 || id.intValue() >= ModelLimits.VOCABULARY) {
      throw new TokenizerException(
          message(
              "Cannot use the tokenizer because the id of its token '%s' is not a whole number from 0 to %s but %s: %s. Fetch or write the file again.",
              shown(token), ModelLimits.VOCABULARY - 1, shown(id.toString()), source));
    }
  }

  static void requireAtMost(String what, int count, int most, String source) {
    if (count > most) {
      throw new TokenizerException(
          message(
              "Cannot use the tokenizer because it has more than %s %s, %s: %s. Fetch or write the file again.",
              most, what, count, source));
    }
  }

  /** Highest id + 1, over the vocabulary and the added tokens. */
  int vocabSize() {
    return vocabSize;
  }

  /** Id of a token by its text. */
  OptionalInt id(String token) {
    for (JsonNode added : root.path("added_tokens")) {
      if (added.path("content").asText().equals(token)) {
        return OptionalInt.of(added.path("id").asInt());
      }
    }
    JsonNode id = root.path("model").path("vocab").path(token);
    return id.isInt() ? OptionalInt.of(id.asInt()) : OptionalInt.empty();
  }

  /**
   * The same tokenizer without the special tokens that a model of so many ids has no row for: those
   * that were added after it was trained, such as {@code <pad>}. A caption that holds the text of
   * one is a text like any other. This file is closed.
   *
   * @throws TokenizerException when a caption could give an id beyond, naming its token
   */
  TokenizerFile within(int vocabulary, String source) {
    if (vocabSize <= vocabulary) {
      return this;
    }
    try (this) {
      ObjectNode smaller = root.deepCopy();
      ArrayNode kept = smaller.putArray("added_tokens");
      for (JsonNode token : root.path("added_tokens")) {
        int id = token.path("id").asInt();
        if (id < vocabulary) {
          kept.add(token);
        } else if (!token.path("special").asBoolean(false)) {
          throw beyond(token.path("content").asText(), id, vocabulary, source);
        }
      }
      Set<String> merged = mergedTokens();
      for (Map.Entry<String, JsonNode> token : model().path("vocab").properties()) {
        int id = token.getValue().asInt();
        if (id >= vocabulary && isGivenBy(token.getKey(), merged)) {
          throw beyond(token.getKey(), id, vocabulary, source);
        }
      }
      return of(smaller, source);
    }
  }

  private static TokenizerException beyond(String token, int id, int vocabulary, String source) {
    return new TokenizerException(
        message(
            "Cannot use the tokenizer because captions can give its token '%s', whose id is %s, and the model has %s ids: %s. They belong to different models.",
            shown(token), id, vocabulary, source));
  }

  /** What the merges make. */
  private Set<String> mergedTokens() {
    String prefix = model().path("continuing_subword_prefix").asText("");
    Set<String> merged = new HashSet<>();
    for (JsonNode merge : model().path("merges")) {
      String[] pair =
          merge.isTextual()
              ? merge.asText().split(" ", 2)
              : new String[] {merge.path(0).asText(), merge.path(1).asText()};
      if (pair.length == 2) {
        String right = pair[1].startsWith(prefix) ? pair[1].substring(prefix.length()) : pair[1];
        merged.add(pair[0] + right);
      }
    }
    return merged;
  }

  /** Whether BPE can give a token for a text: a symbol that it begins with, or what it merges. */
  private boolean isGivenBy(String token, Set<String> merged) {
    String prefix = model().path("continuing_subword_prefix").asText("");
    String suffix = model().path("end_of_word_suffix").asText("");
    String symbol = token.startsWith(prefix) ? token.substring(prefix.length()) : token;
    if (symbol.endsWith(suffix)) {
      symbol = symbol.substring(0, symbol.length() - suffix.length());
    }
    return model().path("ignore_merges").asBoolean(false)
        || merged.contains(token)
        || symbol.codePointCount(0, symbol.length()) <= 1
        || token.codePointCount(0, token.length()) <= 1
        || token.equals(model().path("unk_token").asText())
        || (model().path("byte_fallback").asBoolean(false) && token.matches("<0x[0-9A-F]{2}>"));
  }

  /**
   * The ids that the file's post-processor puts before a text; of a text without ids of its own,
   * the first id that is put around it.
   */
  int[] before(String text) {
    int[] plain = encode(text, false);
    int[] framed = encode(text, true);
    for (int from = 0; from + plain.length <= framed.length; from++) {
      if (Arrays.equals(framed, from, from + plain.length, plain, 0, plain.length)) {
        int length = plain.length == 0 ? Math.min(1, framed.length) : from;
        return Arrays.copyOf(framed, length);
      }
    }
    return framed;
  }

  /** Text of a token by its id. */
  String token(int id) {
    for (JsonNode added : root.path("added_tokens")) {
      if (added.path("id").asInt() == id) {
        return added.path("content").asText();
      }
    }
    return model().path("vocab").properties().stream()
        .filter(token -> token.getValue().asInt() == id)
        .map(Map.Entry::getKey)
        .findFirst()
        .orElseThrow(() -> new IllegalArgumentException(message("Cannot name the token %s.", id)));
  }

  /** The part with the vocabulary and the merges. */
  JsonNode model() {
    return root.path("model");
  }

  /** Ids of a text, with what the file's post-processor puts around it, or without. */
  int[] encode(String text, boolean special) {
    // Only the ids cross JNI; the binding's Encoding would copy eight arrays of each caption.
    long handle = tokenizer.getHandle();
    long encoding = TokenizersLibrary.LIB.encode(handle, wellFormed(text), special);
    try {
      long[] ids = TokenizersLibrary.LIB.getTokenIds(encoding);
      int[] result = new int[ids.length];
      for (int i = 0; i < ids.length; i++) {
        result[i] = Math.toIntExact(ids[i]);
      }
      return result;
    } finally {
      TokenizersLibrary.LIB.deleteEncoding(encoding);
    }
  }

  @Override
  public void close() {
    tokenizer.close();
  }

  /** Half a surrogate pair is no Unicode text: U+FFFD, as a decoder of bad UTF-8 gives. */
  private static String wellFormed(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (Character.isSurrogate(text.charAt(i))) {
        byte[] utf16 = text.getBytes(StandardCharsets.UTF_16BE);
        return new String(utf16, StandardCharsets.UTF_16BE);
      }
    }
    return text;
  }
}
