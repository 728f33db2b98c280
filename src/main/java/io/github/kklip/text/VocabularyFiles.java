package io.github.kklip.text;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Message.shown;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.store.publication.ContentKind;
import io.github.kklip.store.publication.Json;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/**
 * The {@code tokenizer.json} of a CLIP folder that has only {@code vocab.json} and {@code
 * merges.txt}, as {@code CLIPTokenizer} of transformers makes it: NFC, white space to one space,
 * lower case; words, digits and runs of signs apart; byte-level BPE whose words end in {@code
 * </w>}.
 */
final class VocabularyFiles {
  static final String VOCABULARY = "vocab.json";
  static final String MERGES = "merges.txt";

  private static final String CONFIG = "tokenizer_config.json";
  private static final String SPECIAL = "special_tokens_map.json";
  private static final String ADDED = "added_tokens.json";
  private static final String SUFFIX = "</w>";
  private static final String START = "<|startoftext|>";
  private static final String END = "<|endoftext|>";
  private static final String WORDS =
      "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

  /** A file of the folder by its name. */
  interface Files {
    Optional<byte[]> read(String name) throws IOException;
  }

  private final Files files;
  private final String folder;
  private final JsonNode vocabulary;

  /** Tokens that are found in a text before it is split, by their text. */
  private final Map<String, ObjectNode> added = new LinkedHashMap<>();

  private VocabularyFiles(Files files, String folder) throws IOException {
    this.files = files;
    this.folder = folder;
    vocabulary = json(VOCABULARY).orElseThrow(() -> refused(VOCABULARY, "it is not there"));
    if (!vocabulary.isObject()) {
      throw refused(VOCABULARY, "it is not an object of tokens and ids");
    }
  }

  /**
   * Makes the file.
   *
   * @param folder for errors
   * @throws TokenizerException when a file is damaged, or names a token that has no id
   */
  static JsonNode tokenizerJson(Files files, String folder) throws IOException {
    return new VocabularyFiles(files, folder).tokenizerJson();
  }

  private JsonNode tokenizerJson() throws IOException {
    JsonNode config = json(CONFIG).orElseGet(Json::object);
    JsonNode decoder = config.path("added_tokens_decoder");
    // transformers reads the map of special tokens only beside configurations of before that.
    JsonNode special = decoder.isObject() ? config : json(SPECIAL).orElse(config);
    for (Map.Entry<String, JsonNode> token : decoder.properties()) {
      if (!token.getKey().matches("[0-9]{1,9}")) {
        throw refused(CONFIG, message("'%s' is no id of a token", shown(token.getKey())));
      }
      addToken(token.getValue(), Integer.parseInt(token.getKey()));
    }
    Map<String, JsonNode> named = new LinkedHashMap<>();
    for (String field : List.of("unk_token", "bos_token", "eos_token", "pad_token")) {
      JsonNode token = special.hasNonNull(field) ? special.path(field) : config.path(field);
      named.put(field, token.isTextual() ? Json.object().put("content", token.asText()) : token);
    }
    String unknown = text(named.get("unk_token"), END);
    String start = text(named.get("bos_token"), START);
    String end = text(named.get("eos_token"), END);
    if (!decoder.isObject()) {
      Set<String> specials =
          new HashSet<>(List.of(unknown, start, end, text(named.get("pad_token"), END)));
      addOlder(json(ADDED).orElseGet(Json::object), specials);
    }
    named.forEach(
        (field, token) -> addSpecial(token, text(token, field.equals("bos_token") ? START : END)));
    for (String field : List.of("additional_special_tokens", "extra_special_tokens")) {
      for (JsonNode token : special.path(field)) {
        addSpecial(token, token.isTextual() ? token.asText() : text(token, END));
      }
    }

    ObjectNode root = Json.object().put("version", "1.0");
    ArrayNode tokens = root.putArray("added_tokens");
    added.values().stream()
        .sorted(Comparator.comparingInt(token -> token.path("id").asInt()))
        .forEach(tokens::add);
    ArrayNode normalizers =
        root.putObject("normalizer").put("type", "Sequence").putArray("normalizers");
    normalizers.addObject().put("type", "NFC");
    normalizers
        .addObject()
        .put("type", "Replace")
        .put("content", " ")
        .putObject("pattern")
        .put("Regex", "\\s+");
    normalizers.addObject().put("type", "Lowercase");
    ArrayNode split =
        root.putObject("pre_tokenizer").put("type", "Sequence").putArray("pretokenizers");
    split
        .addObject()
        .put("type", "Split")
        .put("behavior", "Removed")
        .put("invert", true)
        .putObject("pattern")
        .put("Regex", WORDS);
    byteLevel(split.addObject(), false);
    ObjectNode frame = root.putObject("post_processor").put("type", "RobertaProcessing");
    frame.putArray("sep").add(end).add(id(end));
    frame.putArray("cls").add(start).add(id(start));
    frame.put("trim_offsets", false).put("add_prefix_space", false);
    byteLevel(root.putObject("decoder"), true);
    ObjectNode model = root.putObject("model").put("type", "BPE").putNull("dropout");
    model.put("unk_token", unknown);
    model.put("continuing_subword_prefix", "").put("end_of_word_suffix", SUFFIX);
    model.put("fuse_unk", false).put("byte_fallback", false).put("ignore_merges", false);
    model.set("vocab", vocabulary);
    merges(model.putArray("merges"));
    return root;
  }

  private static void byteLevel(ObjectNode node, boolean prefixSpace) {
    node.put("type", "ByteLevel").put("add_prefix_space", prefixSpace);
    node.put("trim_offsets", true).put("use_regex", true);
  }

  private void merges(ArrayNode merges) throws IOException {
    byte[] file = files.read(MERGES).orElseThrow(() -> refused(MERGES, "it is not there"));
    // The lines of a pointer are of two symbols with a space, as merges are.
    if (ContentKind.of(file).equals(Optional.of(ContentKind.LFS_POINTER))) {
      throw refused(MERGES, ContentKind.LFS_POINTER.sentence());
    }
    List<String> lines = new String(file, StandardCharsets.UTF_8).lines().toList();
    for (int i = 0; i < lines.size(); i++) {
      String line = lines.get(i);
      if (line.isEmpty() || line.startsWith("#version")) {
        continue;
      }
      String[] pair = line.split(" ", -1);
      if (pair.length != 2 || pair[0].isEmpty() || pair[1].isEmpty()) {
        throw refused(
            MERGES,
            message("its line %s is not of two symbols with a space: %s", i + 1, shown(line)));
      }
      merges.addArray().add(pair[0]).add(pair[1]);
    }
  }

  private static String text(JsonNode token, String absent) {
    return token.path("content").asText(absent);
  }

  /** Adds a special token under the id that the vocabulary gives it. */
  private void addSpecial(JsonNode token, String text) {
    if (!added.containsKey(text)) {
      ObjectNode flags = token.isObject() ? token.deepCopy() : Json.object();
      addToken(flags.put("content", text).put("special", true), id(text));
    }
  }

  /** The tokens of the files of before {@code added_tokens_decoder}. */
  private void addOlder(JsonNode tokens, Set<String> specials) {
    for (Map.Entry<String, JsonNode> token : tokens.properties()) {
      ObjectNode flags = Json.object().put("content", token.getKey());
      flags.put("special", specials.contains(token.getKey()));
      addToken(flags, token.getValue().asInt(-1));
    }
  }

  private void addToken(JsonNode flags, int id) {
    String text = flags.path("content").asText();
    boolean special = flags.path("special").asBoolean(false);
    ObjectNode token = Json.object().put("id", id).put("content", text);
    for (String flag : List.of("single_word", "lstrip", "rstrip")) {
      token.put(flag, flags.path(flag).asBoolean(false));
    }
    token.put("normalized", flags.path("normalized").asBoolean(!special));
    added.put(text, token.put("special", special));
  }

  private int id(String token) {
    JsonNode id = vocabulary.path(token);
    if (added.containsKey(token)) {
      id = added.get(token).path("id");
    }
    if (!id.isInt()) {
      throw refused(VOCABULARY, message("it lacks the special token '%s'", shown(token)));
    }
    return id.intValue();
  }

  private Optional<JsonNode> json(String name) throws IOException {
    Optional<byte[]> bytes = files.read(name);
    try {
      return bytes.isEmpty() ? Optional.empty() : Optional.of(Json.tree(bytes.get()));
    } catch (JsonProcessingException e) {
      throw new TokenizerException(refused(name, Json.notJson(bytes.get(), e)).getMessage(), e);
    }
  }

  private TokenizerException refused(String file, String why) {
    return new TokenizerException(
        message(
            "Cannot load the tokenizer of %s because of its %s: %s. Fetch the file again, or put the model's tokenizer.json beside it.",
            folder, file, why));
  }
}
