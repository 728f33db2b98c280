package io.github.kklip.text;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.store.publication.ContentKind;
import io.github.kklip.store.publication.Json;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/**
 * Llama 2's original {@code tokenizer.model}: SentencePiece's protocol buffer ({@code ModelProto}
 * of sentencepiece_model.proto), as far as a BPE model needs it, and its form as {@code
 * tokenizer.json}.
 *
 * <p>The conversion: a merge (l, r) for every piece lr whose parts are pieces too, ordered by the
 * piece's score, then by the length of l and of r (in characters), all descending; bytes stand for
 * unknown characters; a space becomes {@code ▁}, and one is put before the text.
 *
 * @param pieces in the order of their ids
 * @param dummyPrefix a text begins as if after a space
 * @param removeExtraSpaces spaces at both ends go, and runs of spaces become one
 */
record SentencePieceModel(
    List<Piece> pieces, boolean byteFallback, boolean dummyPrefix, boolean removeExtraSpaces) {
  private static final String SPACE = "▁";

  private static final int BPE = 2;

  private static final int UNKNOWN = 2;
  private static final int CONTROL = 3;
  private static final int USER_DEFINED = 4;

  record Piece(String text, float score, int type) {}

  private record PieceMerge(
      String left, String right, float score, int leftLength, int rightLength) {}

  /** One field of a protocol buffer: a varint (also of fixed width) or bytes. */
  private record Field(int number, long value, ByteBuffer bytes) {}

  static SentencePieceModel parse(byte[] file, String source) {
    List<Piece> pieces = new ArrayList<>();
    long modelType = 1;
    boolean byteFallback = false;
    boolean dummyPrefix = true;
    boolean removeExtraSpaces = true;
    boolean hasCharacterMap = false;
    try {
      for (Field field : fields(ByteBuffer.wrap(file), source)) {
        switch (field.number) {
          case 1 -> {
            Piece piece = piece(field.bytes, source);
            // A merge is looked for at every character of it.
            TokenizerFile.requireAtMost(
                "characters in a token", piece.text.length(), ModelLimits.TOKEN_LENGTH, source);
            pieces.add(piece);
          }
          case 2 -> {
            for (Field trainer : fields(field.bytes, source)) {
              modelType = trainer.number == 3 ? trainer.value : modelType;
              byteFallback = trainer.number == 35 ? trainer.value != 0 : byteFallback;
            }
          }
          case 3 -> {
            for (Field normalizer : fields(field.bytes, source)) {
              hasCharacterMap |= normalizer.number == 2 && normalizer.bytes.hasRemaining();
              dummyPrefix = normalizer.number == 3 ? normalizer.value != 0 : dummyPrefix;
              removeExtraSpaces =
                  normalizer.number == 4 ? normalizer.value != 0 : removeExtraSpaces;
            }
          }
          default -> {
            // Training facts and self tests.
          }
        }
      }
    } catch (IllegalArgumentException | NullPointerException e) {
      throw refuse(other(file), source, e);
    }
    if (pieces.isEmpty()) {
      throw refuse(other(file), source, null);
    }
    if (modelType != BPE) {
      throw refuse("it is not a SentencePiece BPE model", source, null);
    }
    if (hasCharacterMap) {
      throw refuse("it normalises characters, which Llama's does not", source, null);
    }
    return new SentencePieceModel(
        List.copyOf(pieces), byteFallback, dummyPrefix, removeExtraSpaces);
  }

  private static String other(byte[] file) {
    return ContentKind.of(file)
        .filter(kind -> kind != ContentKind.TEXT && kind != ContentKind.EMPTY)
        .map(ContentKind::sentence)
        .orElse("it is not a whole SentencePiece model");
  }

  private static TokenizerException refuse(String why, String source, Exception cause) {
    return new TokenizerException(
        message(
            "Cannot convert the tokenizer because %s: %s. Fetch it again, or put the tokenizer.json of the same model beside it.",
            why, source),
        cause);
  }

  private static Piece piece(ByteBuffer bytes, String source) {
    String text = "";
    float score = 0;
    int type = 1;
    for (Field field : fields(bytes, source)) {
      switch (field.number) {
        case 1 -> text = StandardCharsets.UTF_8.decode(field.bytes).toString();
        case 2 -> score = Float.intBitsToFloat((int) field.value);
        case 3 -> type = (int) field.value;
        default -> {
          // No other field is defined.
        }
      }
    }
    return new Piece(text, score, type);
  }

  private static List<Field> fields(ByteBuffer message, String source) {
    List<Field> fields = new ArrayList<>();
    ByteBuffer in = message.slice().order(ByteOrder.LITTLE_ENDIAN);
    while (in.hasRemaining()) {
      // The fields of a model are its tokens and few others.
      TokenizerFile.requireAtMost(
          "tokens or other fields", fields.size() + 1, ModelLimits.VOCABULARY, source);
      long key = varint(in);
      int number = (int) (key >>> 3);
      int wire = (int) (key & 7);
      switch (wire) {
        case 0 -> fields.add(new Field(number, varint(in), null));
        case 1 -> fields.add(new Field(number, take(in, Long.BYTES).getLong(), null));
        case 2 -> fields.add(new Field(number, 0, take(in, varint(in))));
        case 5 -> fields.add(new Field(number, take(in, Integer.BYTES).getInt(), null));
        default -> throw new IllegalArgumentException(message("wire type %s", wire));
      }
    }
    return fields;
  }

  private static ByteBuffer take(ByteBuffer in, long length) {
    if (length < 0 || length > in.remaining()) {
      throw new IllegalArgumentException(message("a field of %s bytes", length));
    }
    ByteBuffer slice = in.slice(in.position(), (int) length).order(ByteOrder.LITTLE_ENDIAN);
    in.position(in.position() + (int) length);
    return slice;
  }

  private static long varint(ByteBuffer in) {
    long value = 0;
    for (int shift = 0; shift < Long.SIZE; shift += 7) {
      byte next = take(in, 1).get();
      value |= (long) (next & 0x7f) << shift;
      if (next >= 0) {
        return value;
      }
    }
    throw new IllegalArgumentException("a number without end");
  }

  ObjectNode toTokenizerJson() {
    ObjectNode root = Json.object();
    root.put("version", "1.0");
    root.putNull("truncation").putNull("padding");
    ArrayNode added = root.putArray("added_tokens");
    String unknown = null;
    String start = null;
    for (int id = 0; id < pieces.size(); id++) {
      Piece piece = pieces.get(id);
      if (piece.type == UNKNOWN) {
        unknown = piece.text;
      }
      if (piece.type == CONTROL && start == null) {
        start = piece.text;
      }
      if (piece.type == UNKNOWN || piece.type == CONTROL || piece.type == USER_DEFINED) {
        added
            .addObject()
            .put("id", id)
            .put("content", piece.text)
            .put("single_word", false)
            .put("lstrip", false)
            .put("rstrip", false)
            .put("normalized", false)
            .put("special", piece.type != USER_DEFINED);
      }
    }
    root.set("normalizer", normalizer());
    root.putNull("pre_tokenizer");
    root.set("post_processor", start == null ? null : startToken(start));
    root.putNull("decoder");
    ObjectNode model = root.putObject("model");
    model.put("type", "BPE").putNull("dropout").put("unk_token", unknown);
    model.putNull("continuing_subword_prefix").putNull("end_of_word_suffix");
    model.put("fuse_unk", true).put("byte_fallback", byteFallback).put("ignore_merges", false);
    ObjectNode vocab = model.putObject("vocab");
    for (int id = 0; id < pieces.size(); id++) {
      vocab.put(pieces.get(id).text, id);
    }
    ArrayNode merges = model.putArray("merges");
    for (PieceMerge merge : merges()) {
      merges.addArray().add(merge.left).add(merge.right);
    }
    return root;
  }

  private ObjectNode normalizer() {
    ObjectNode sequence = Json.object().put("type", "Sequence");
    ArrayNode steps = sequence.putArray("normalizers");
    if (removeExtraSpaces) {
      steps.addObject().put("type", "Strip").put("strip_left", true).put("strip_right", true);
      ObjectNode runs = steps.addObject().put("type", "Replace");
      runs.putObject("pattern").put("Regex", " {2,}");
      runs.put("content", " ");
    }
    if (dummyPrefix) {
      steps.addObject().put("type", "Prepend").put("prepend", SPACE);
    }
    ObjectNode space = steps.addObject().put("type", "Replace");
    space.putObject("pattern").put("String", " ");
    space.put("content", SPACE);
    return sequence;
  }

  private ObjectNode startToken(String start) {
    ObjectNode template = Json.object().put("type", "TemplateProcessing");
    ArrayNode single = template.putArray("single");
    single.addObject().putObject("SpecialToken").put("id", start).put("type_id", 0);
    single.addObject().putObject("Sequence").put("id", "A").put("type_id", 0);
    ArrayNode pair = template.putArray("pair");
    pair.addAll(single.deepCopy());
    pair.addObject().putObject("SpecialToken").put("id", start).put("type_id", 0);
    pair.addObject().putObject("Sequence").put("id", "B").put("type_id", 0);
    ObjectNode token = template.putObject("special_tokens").putObject(start).put("id", start);
    int id = 0;
    while (!pieces.get(id).text.equals(start)) {
      id++;
    }
    token.putArray("ids").add(id);
    token.putArray("tokens").add(start);
    return template;
  }

  private List<PieceMerge> merges() {
    Map<String, Integer> ids = new HashMap<>();
    for (int id = 0; id < pieces.size(); id++) {
      ids.put(pieces.get(id).text, id);
    }
    List<PieceMerge> merges = new ArrayList<>();
    for (Piece piece : pieces) {
      List<PieceMerge> ofPiece = new ArrayList<>();
      String text = piece.text;
      int length = text.codePointCount(0, text.length());
      for (int characters = 1; characters < length; characters++) {
        int at = text.offsetByCodePoints(0, characters);
        String left = text.substring(0, at);
        String right = text.substring(at);
        if (ids.containsKey(left) && ids.containsKey(right)) {
          ofPiece.add(new PieceMerge(left, right, piece.score, characters, length - characters));
        }
      }
      ofPiece.sort(
          Comparator.<PieceMerge>comparingInt(m -> ids.get(m.left))
              .thenComparingInt(m -> ids.get(m.right)));
      merges.addAll(ofPiece);
    }
    merges.sort(
        Comparator.comparingDouble(PieceMerge::score)
            .thenComparingInt(PieceMerge::leftLength)
            .thenComparingInt(PieceMerge::rightLength)
            .reversed());
    return merges;
  }
}
