package io.github.kklip.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.kklip.SharedData;
import io.github.kklip.config.ModelLimits;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class TeacherTokenizerTest {
  @TempDir Path folder;

  private static TeacherTokenizer load(Path folder) {
    return TeacherTokenizer.load(folder, ModelLimits.VOCABULARY);
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama2-tokenizer", "stories260K"})
  void givesTheIdsOfTheReference(String name) {
    JsonNode golden = TokenizerGolden.read("text/llama.json");
    try (TeacherTokenizer tokenizer = load(SharedData.path("weights/" + name))) {
      TokenizerGolden.assertEqualIds(
          golden.get("texts"),
          golden.get("tokenizers").get(name),
          text -> tokenizer.encode(text, Integer.MAX_VALUE));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"llama2-tokenizer", "stories260K"})
  void convertsTheOriginalModelToTheSameTokenizer(String name) throws IOException {
    Path weights = SharedData.path("weights/" + name);
    byte[] original = Files.readAllBytes(weights.resolve("tokenizer.model"));
    JsonNode expected = new ObjectMapper().readTree(weights.resolve("tokenizer.json").toFile());

    JsonNode converted = SentencePieceModel.parse(original, name).toTokenizerJson();

    assertThat(converted.get("model")).isEqualTo(expected.get("model"));
    assertThat(converted.get("normalizer")).isEqualTo(expected.get("normalizer"));
    assertThat(converted.get("post_processor")).isEqualTo(expected.get("post_processor"));
    assertThat(converted.get("added_tokens")).isEqualTo(expected.get("added_tokens"));

    Files.write(folder.resolve("tokenizer.model"), original);
    JsonNode golden = TokenizerGolden.read("text/llama.json");
    try (TeacherTokenizer tokenizer = load(folder)) {
      TokenizerGolden.assertEqualIds(
          golden.get("texts"),
          golden.get("tokenizers").get(name),
          text -> tokenizer.encode(text, Integer.MAX_VALUE));
    }
  }

  @Test
  void convertsAHandMadeModelAndCutsAtTheEnd() throws IOException {
    // Ids:          0        1      2       3    4    5    6     7      8
    var pieces = List.of("<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "▁ab", "<0x63>");
    Files.write(folder.resolve("tokenizer.model"), model(pieces, 2));
    try (TeacherTokenizer tokenizer = load(folder)) {
      assertThat(tokenizer.startId()).isEqualTo(1);
      assertThat(tokenizer.vocabSize()).isEqualTo(9);
      assertThat(tokenizer.encode("", 10)).containsExactly(1);
      assertThat(tokenizer.encode("ab aba", 10)).containsExactly(1, 7, 7, 4);
      assertThat(tokenizer.encode("c", 10)).containsExactly(1, 3, 8);
      assertThat(tokenizer.encode("ab aba", 3)).containsExactly(1, 7, 7);
      assertThat(tokenizer.encode("ab aba", 1)).containsExactly(1);
      assertThat(tokenizer.encode("a\uD83D", 10)).as("half a surrogate pair").isNotEmpty();
    }
  }

  @Test
  void refusesAFolderWithoutTokenizer() {
    assertThatThrownBy(() -> load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessage(
            "Cannot load the teacher's tokenizer because its folder has neither tokenizer.json nor"
                + " tokenizer.model: "
                + folder
                + ". Set teacher.path to a whole Llama folder.");
  }

  @Test
  void refusesWhatIsNoTokenizer() throws IOException {
    Files.writeString(folder.resolve("tokenizer.json"), "{ not json");
    assertThatThrownBy(() -> load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("because it is not JSON: ")
        .hasMessageContaining(folder.toString());
    Files.writeString(folder.resolve("tokenizer.json"), "{}");
    assertThatThrownBy(() -> load(folder)).hasMessageContaining("it has no \"model\": " + folder);
    Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": {\"type\": \"Unigram\"}}");
    assertThatThrownBy(() -> load(folder)).hasMessageContaining("its model is Unigram, not BPE");
    Files.writeString(folder.resolve("tokenizer.json"), "{\"model\": {\"type\": \"BPE\"}}");
    assertThatThrownBy(() -> load(folder))
        .hasMessageContaining("the tokenizers library refuses it: " + folder);
  }

  private void write(String added, String model, String processor) throws IOException {
    Files.writeString(
        folder.resolve("tokenizer.json"),
        """
        {"version": "1.0", "added_tokens": [
          {"id": 0, "content": "<s>", "special": true, "single_word": false, "lstrip": false,
           "rstrip": false, "normalized": false}%s],
         "post_processor": %s,
         "model": {"type": "BPE", "vocab": {"<s>": 0, "</s>": 1, "a": 2, "b": 3, "ab": 4, "<": 5,
                   "p": 6, ">": 7%s}}
        """
            .formatted(added, processor, model));
  }

  private static String added(String content, int id, boolean special) {
    return """
        , {"id": %s, "content": "%s", "special": %s, "single_word": false, "lstrip": false,
           "rstrip": false, "normalized": false}"""
        .formatted(id, content, special);
  }

  private static String template(String... around) {
    StringBuilder single = new StringBuilder();
    for (String piece : around) {
      single.append(single.isEmpty() ? "" : ", ");
      single.append(
          piece.equals("A")
              ? "{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}"
              : "{\"SpecialToken\": {\"id\": \"" + piece + "\", \"type_id\": 0}}");
    }
    return "{\"type\": \"TemplateProcessing\", \"single\": ["
        + single
        + "], \"pair\": [{\"Sequence\": {\"id\": \"A\", \"type_id\": 0}}], \"special_tokens\":"
        + " {\"<s>\": {\"id\": \"<s>\", \"ids\": [0], \"tokens\": [\"<s>\"]},"
        + " \"</s>\": {\"id\": \"</s>\", \"ids\": [1], \"tokens\": [\"</s>\"]}}}";
  }

  private static final String MERGES = "}, \"merges\": [\"a b\"]";

  /** The model has no row for {@code <p>}, and a caption that holds its text is only text. */
  @Test
  void leavesOutSpecialTokensThatTheModelLacks() throws IOException {
    write(added("<p>", 8, true), MERGES, template("<s>", "A"));
    try (TeacherTokenizer all = load(folder);
        TeacherTokenizer fitted = TeacherTokenizer.load(folder, 8)) {
      assertThat(all.encode("a<p>ab", 10)).containsExactly(0, 2, 8, 4);
      assertThat(fitted.encode("a<p>ab", 10)).containsExactly(0, 2, 5, 6, 7, 4);
      assertThat(fitted.encode("ab<s>", 10)).as("those that it has stay").containsExactly(0, 4, 0);
      assertThat(fitted.vocabSize()).isEqualTo(8);
    }
    // In the vocabulary as well, where no merge gives it.
    write(added("<p>", 8, true), ", \"<p>\": 8" + MERGES, template("<s>", "A"));
    try (TeacherTokenizer fitted = TeacherTokenizer.load(folder, 8)) {
      assertThat(fitted.encode("<p>", 10)).containsExactly(0, 5, 6, 7);
    }
  }

  @Test
  void refusesTokensThatCaptionsGiveAndTheModelLacks() throws IOException {
    write(added("dog", 8, false), MERGES, template("<s>", "A"));
    assertBeyond(8, "its token 'dog', whose id is 8, and the model has 8 ids");
    write("", MERGES, template("<s>", "A"));
    assertBeyond(7, "its token '>', whose id is 7, and the model has 7 ids");
    write(added("<p>", 8, true), ", \"<p>\": 8}, \"merges\": [\"< p\"]", template("<s>", "A"));
    assertThatThrownBy(() -> TeacherTokenizer.load(folder, 8))
        .isInstanceOf(TokenizerException.class);
    write("", ", \"ba\": 8}, \"merges\": [\"b a\"]", template("<s>", "A"));
    assertBeyond(8, "its token 'ba', whose id is 8");
    write("", ", \"ba\": 8}, \"merges\": [], \"ignore_merges\": true", template("<s>", "A"));
    assertBeyond(8, "its token 'ba', whose id is 8");
    write("", ", \"<0x41>\": 8}, \"merges\": [], \"byte_fallback\": true", template("<s>", "A"));
    assertBeyond(8, "its token '<0x41>', whose id is 8");
    write("", ", \"[UNK]\": 8}, \"merges\": [], \"unk_token\": \"[UNK]\"", template("<s>", "A"));
    assertBeyond(8, "its token '[UNK]', whose id is 8");
  }

  private void assertBeyond(int vocabulary, String message) {
    assertThatThrownBy(() -> TeacherTokenizer.load(folder, vocabulary))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("Cannot use the tokenizer because captions can give " + message)
        .hasMessageContaining(folder.toString())
        .hasMessageEndingWith("They belong to different models.");
  }

  @Test
  void anEndTokenIsNoStartToken() throws IOException {
    write("", MERGES, template("<s>", "A", "</s>"));
    try (TeacherTokenizer tokenizer = load(folder)) {
      assertThat(tokenizer.encode("ab", 10)).containsExactly(0, 4);
    }
    write("", MERGES, template("A", "</s>"));
    assertThatThrownBy(() -> load(folder)).hasMessageContaining("names a start token: " + folder);
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"bos_token\": \"<s>\"}");
    try (TeacherTokenizer tokenizer = load(folder)) {
      assertThat(tokenizer.startId()).isZero();
      assertThat(tokenizer.encode("ab", 10)).containsExactly(0, 4);
    }
    write("", MERGES, template("<s>", "<s>", "A"));
    assertThatThrownBy(() -> load(folder))
        .hasMessageContaining("because it puts 2 tokens before a text instead of one start token");
    write(added("<p>", 8, true), MERGES, template("A", "</s>"));
    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"bos_token\": \"<p>\"}");
    assertThatThrownBy(() -> TeacherTokenizer.load(folder, 8))
        .hasMessageContaining("names a start token");
  }

  @Test
  void refusesATokenizerWithoutStartToken() throws IOException {
    String json =
        "{\"version\": \"1.0\", \"added_tokens\": [], \"model\": {\"type\": \"BPE\", \"vocab\":"
            + " {\"a\": 0, \"<s>\": 1}, \"merges\": []}}";
    Files.writeString(folder.resolve("tokenizer.json"), json);
    assertThatThrownBy(() -> load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("names a start token: " + folder);

    Files.writeString(folder.resolve("tokenizer_config.json"), "{\"bos_token\": \"<s>\"}");
    try (TeacherTokenizer tokenizer = load(folder)) {
      assertThat(tokenizer.encode("aa", 10)).containsExactly(1, 0, 0);
    }
  }

  @Test
  void refusesOriginalModelsThatAreCutShortOrOfAnotherKind() throws IOException {
    byte[] whole = model(List.of("<unk>", "<s>", "</s>", "a"), 2);
    Path path = folder.resolve("tokenizer.model");
    for (int length = 0; length < whole.length; length += 7) {
      Files.write(path, java.util.Arrays.copyOf(whole, length));
      assertThatThrownBy(() -> load(folder))
          .isInstanceOf(TokenizerException.class)
          .hasMessageContaining("Cannot convert the tokenizer because it is not a ")
          .hasMessageContaining(path.toString());
    }
    Files.write(path, model(List.of("<unk>", "<s>", "</s>", "a"), 1));
    assertThatThrownBy(() -> load(folder))
        .hasMessageContaining("it is not a SentencePiece BPE model: " + path);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "'vocab':{'a':1000000},'merges':[] | the id of its token 'a' is not a whole number from 0 to 999999 but 1000000",
        "'vocab':{'a':4294967296},'merges':[] | the id of its token 'a' is not a whole number from 0 to 999999 but 4294967296",
        "'vocab':{'a':-1},'merges':[] | the id of its token 'a' is not a whole number from 0 to 999999 but -1",
        "'vocab':{'a':'x'},'merges':[] | the id of its token 'a' is not a whole number from 0 to 999999 but \"x\"",
        "'vocab':{'%s':0},'merges':[] | it has more than 1024 characters in a token, 1025",
      })
  void refusesAbsurdTokens(String model, String message) throws IOException {
    String json =
        "{'added_tokens':[],'model':{'type':'BPE'," + model.formatted("x".repeat(1025)) + "}}";
    Files.writeString(folder.resolve("tokenizer.json"), json.replace('\'', '"'));
    assertThatThrownBy(() -> load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining(message)
        .hasMessageContaining(folder.toString());
    String added =
        "{'added_tokens':[{'content':'a','id':2147483647}],'model':{'type':'BPE','vocab':{},'merges':[]}}";
    Files.writeString(folder.resolve("tokenizer.json"), added.replace('\'', '"'));
    assertThatThrownBy(() -> load(folder))
        .hasMessageContaining("the id of its token 'a' is not a whole number from 0 to 999999");
  }

  @Test
  void refusesAbsurdSizes() throws IOException {
    Path path = folder.resolve("tokenizer.json");
    Files.writeString(
        path,
        "{\"model\":{\"type\":\"BPE\",\"vocab\":{},\"merges\":["
            + "0,".repeat(ModelLimits.MERGES)
            + "0]}}");
    assertThatThrownBy(() -> load(folder))
        .hasMessageContaining("it has more than 4000000 merges, 4000001: " + path);
    Files.writeString(path, "[".repeat(5000));
    assertThatThrownBy(() -> load(folder))
        .hasMessageContaining("because it is not JSON")
        .hasMessageContaining("Document nesting depth");
    try (RandomAccessFile file = new RandomAccessFile(path.toFile(), "rw")) {
      file.setLength(ModelLimits.TOKENIZER_BYTES + 1L);
    }
    assertThatThrownBy(() -> load(folder))
        .hasMessageContaining("because it has more than 67108864 bytes");
    assertThatThrownBy(() -> StudentTokenizer.load(folder))
        .hasMessageContaining("because it has more than 67108864 bytes");
  }

  /** Each character of a token is a place to look for a merge, and each byte can be a field. */
  @Test
  void refusesOriginalModelsOfAbsurdSizes() throws IOException {
    Path path = folder.resolve("tokenizer.model");
    var piece = new ByteArrayOutputStream();
    piece.writeBytes(new byte[] {1 << 3 | 2, (byte) ((1025 & 0x7f) | 0x80), 1025 >> 7});
    piece.writeBytes("x".repeat(1025).getBytes(StandardCharsets.UTF_8));
    int length = piece.size();
    var out = new ByteArrayOutputStream();
    out.writeBytes(new byte[] {1 << 3 | 2, (byte) ((length & 0x7f) | 0x80), (byte) (length >> 7)});
    out.writeBytes(piece.toByteArray());
    Files.write(path, out.toByteArray());
    assertThatThrownBy(() -> load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("it has more than 1024 characters in a token, 1025: " + path);

    byte[] empty = new byte[2 * (ModelLimits.VOCABULARY + 1)];
    for (int i = 0; i < empty.length; i += 2) {
      empty[i] = 1 << 3 | 2;
    }
    Files.write(path, empty);
    assertThatThrownBy(() -> load(folder))
        .hasMessageContaining("it has more than 1000000 tokens or other fields, 1000001: " + path);
  }

  /** A model with scores that fall with the id, as a SentencePiece BPE training gives. */
  private static byte[] model(List<String> pieces, int type) {
    var out = new ByteArrayOutputStream();
    for (int id = 0; id < pieces.size(); id++) {
      var piece = new ByteArrayOutputStream();
      bytes(piece, 1, pieces.get(id).getBytes(StandardCharsets.UTF_8));
      piece.write(2 << 3 | 5);
      int score = Float.floatToIntBits(-id);
      for (int shift = 0; shift < 32; shift += 8) {
        piece.write(score >>> shift);
      }
      int kind = pieces.get(id).startsWith("<0x") ? 6 : new int[] {2, 3, 3, 1}[Math.min(id, 3)];
      piece.writeBytes(new byte[] {3 << 3, (byte) kind});
      bytes(out, 1, piece.toByteArray());
    }
    // Trainer: model type, byte fallback (field 35). Normalizer: identity, dummy prefix, extra
    // spaces.
    bytes(out, 2, new byte[] {3 << 3, (byte) type, (byte) (35 << 3 | 0x80), 2, 1});
    bytes(out, 3, new byte[] {3 << 3, 1, 4 << 3, 0});
    return out.toByteArray();
  }

  private static void bytes(ByteArrayOutputStream out, int field, byte[] value) {
    out.write(field << 3 | 2);
    out.write(value.length);
    out.writeBytes(value);
  }
}
