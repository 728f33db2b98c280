package io.github.kklip.text;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.store.publication.Json;
import java.nio.charset.StandardCharsets;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * The files of a Hugging Face folder with a CLIP tokenizer, made from {@code tokenizer.json} alone:
 * {@code vocab.json} and {@code merges.txt} for programs that read only these, and the names of the
 * special tokens.
 */
public final class TokenizerFolder {
  private TokenizerFolder() {}

  /**
   * Content by file name, {@code tokenizer.json} itself first.
   *
   * @param tokenizerJson text of a {@code tokenizer.json} in CLIP's form
   * @param contextLength most ids that the model takes; 0: not known
   * @throws TokenizerException when it is not in CLIP's form
   */
  public static Map<String, byte[]> files(String tokenizerJson, int contextLength) {
    ObjectNode special = Json.object();
    try (TokenizerFile file = TokenizerFile.parse(tokenizerJson, "tokenizer.json")) {
      int[] frame = file.encode("", true);
      if (frame.length != 2) {
        throw new TokenizerException(
            message(
                "Cannot write the tokenizer because it puts %s tokens around a caption instead of CLIP's start and end token. Take the tokenizer of a CLIP model.",
                frame.length));
      }
      String end = file.token(frame[1]);
      special.put("bos_token", file.token(frame[0])).put("eos_token", end);
      special.put("unk_token", end).put("pad_token", end);
      ObjectNode configuration = special.deepCopy();
      configuration.put("tokenizer_class", "CLIPTokenizer");
      configuration.put("add_prefix_space", false).put("do_lower_case", true);
      configuration.put("errors", "replace");
      if (contextLength > 0) {
        configuration.put("model_max_length", contextLength);
      }
      Map<String, String> files = new LinkedHashMap<>();
      files.put("tokenizer.json", tokenizerJson);
      files.put("vocab.json", vocab(file.model()).toString());
      files.put("merges.txt", merges(file.model()));
      files.put("special_tokens_map.json", special.toPrettyString());
      files.put("tokenizer_config.json", configuration.toPrettyString());
      Map<String, byte[]> bytes = new LinkedHashMap<>();
      files.forEach((name, text) -> bytes.put(name, line(text).getBytes(StandardCharsets.UTF_8)));
      return bytes;
    }
  }

  private static String line(String text) {
    return text.endsWith("\n") ? text : text + "\n";
  }

  private static ObjectNode vocab(JsonNode model) {
    List<Map.Entry<String, JsonNode>> tokens =
        model.path("vocab").properties().stream()
            .sorted(Comparator.comparingInt(token -> token.getValue().asInt()))
            .toList();
    ObjectNode vocab = Json.object();
    tokens.forEach(token -> vocab.set(token.getKey(), token.getValue()));
    return vocab;
  }

  private static String merges(JsonNode model) {
    StringBuilder lines = new StringBuilder("#version: 0.2");
    for (JsonNode merge : model.path("merges")) {
      // Older files have "left right", newer ones ["left", "right"].
      String pair =
          merge.isTextual() ? merge.asText() : merge.get(0).asText() + ' ' + merge.get(1).asText();
      lines.append('\n').append(pair);
    }
    return lines.toString();
  }
}
