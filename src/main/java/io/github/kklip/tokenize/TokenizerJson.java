package io.github.kklip.tokenize;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.store.publication.Json;
import io.github.kklip.tokenize.BytePairVocabulary.Merge;

/**
 * A vocabulary as {@code tokenizer.json} in the form of CLIP's own, as {@code tokenizers}, {@code
 * CLIPTokenizer} and DJL read it.
 */
final class TokenizerJson {
  /** The pattern of a word in CLIP's byte-pair encoding: contractions, letters, one digit, rest. */
  private static final String WORD =
      "<\\|startoftext\\|>|<\\|endoftext\\|>|'s|'t|'re|'ve|'m|'ll|'d"
          + "|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";

  private TokenizerJson() {}

  /** The file's content. */
  static ObjectNode of(BytePairVocabulary vocabulary) {
    ObjectNode root = Json.object().put("version", "1.0");
    root.putNull("truncation").putNull("padding");
    root.putArray("added_tokens")
        .add(added(BytePairVocabulary.START, vocabulary.startId()))
        .add(added(BytePairVocabulary.END, vocabulary.endId()));

    ObjectNode normalizer = root.putObject("normalizer").put("type", "Sequence");
    ArrayNode normalizers = normalizer.putArray("normalizers");
    normalizers.addObject().put("type", "NFC");
    ObjectNode spaces = normalizers.addObject().put("type", "Replace");
    spaces.putObject("pattern").put("Regex", "\\s+");
    spaces.put("content", " ");
    normalizers.addObject().put("type", "Lowercase");

    ObjectNode preTokenizer = root.putObject("pre_tokenizer").put("type", "Sequence");
    ArrayNode preTokenizers = preTokenizer.putArray("pretokenizers");
    ObjectNode split = preTokenizers.addObject().put("type", "Split");
    split.putObject("pattern").put("Regex", WORD);
    split.put("behavior", "Removed").put("invert", true);
    preTokenizers.add(byteLevel(false));

    ObjectNode frame = root.putObject("post_processor").put("type", "RobertaProcessing");
    frame.putArray("sep").add(BytePairVocabulary.END).add(vocabulary.endId());
    frame.putArray("cls").add(BytePairVocabulary.START).add(vocabulary.startId());
    frame.put("trim_offsets", false).put("add_prefix_space", false);
    root.set("decoder", byteLevel(true));

    ObjectNode model = root.putObject("model").put("type", "BPE").putNull("dropout");
    model.put("unk_token", BytePairVocabulary.END).put("continuing_subword_prefix", "");
    model.put("end_of_word_suffix", BytePairVocabulary.WORD_END).put("fuse_unk", false);
    model.put("byte_fallback", false).put("ignore_merges", false);
    model.set("vocab", vocab(vocabulary));
    ArrayNode merges = model.putArray("merges");
    for (Merge merge : vocabulary.merges()) {
      merges
          .addArray()
          .add(vocabulary.tokens().get(merge.left()))
          .add(vocabulary.tokens().get(merge.right()));
    }
    return root;
  }

  private static ObjectNode vocab(BytePairVocabulary vocabulary) {
    ObjectNode vocab = Json.object();
    for (int id = 0; id < vocabulary.tokens().size(); id++) {
      vocab.put(vocabulary.tokens().get(id), id);
    }
    return vocab
        .put(BytePairVocabulary.START, vocabulary.startId())
        .put(BytePairVocabulary.END, vocabulary.endId());
  }

  private static ObjectNode added(String token, int id) {
    return Json.object()
        .put("id", id)
        .put("content", token)
        .put("single_word", false)
        .put("lstrip", false)
        .put("rstrip", false)
        .put("normalized", false)
        .put("special", true);
  }

  private static ObjectNode byteLevel(boolean prefixSpace) {
    return Json.object()
        .put("type", "ByteLevel")
        .put("add_prefix_space", prefixSpace)
        .put("trim_offsets", true)
        .put("use_regex", true);
  }
}
