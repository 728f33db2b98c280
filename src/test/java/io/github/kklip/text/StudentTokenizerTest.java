package io.github.kklip.text;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class StudentTokenizerTest {
  private static final int START = 553;
  private static final int END = 554;

  @TempDir Path folder;
  private StudentTokenizer tokenizer;

  @BeforeEach
  void load() throws IOException {
    Files.writeString(
        folder.resolve("tokenizer.json"),
        TokenizerGolden.read("text/clip/tokenizer.json").toString());
    tokenizer = StudentTokenizer.load(folder);
  }

  @AfterEach
  void close() {
    tokenizer.close();
  }

  @Test
  void givesTheIdsOfTheReference() {
    JsonNode golden = TokenizerGolden.read("text/clip.json");
    TokenizerGolden.assertEqualIds(
        golden.get("texts"), golden.get("ids"), text -> tokenizer.encode(text, Integer.MAX_VALUE));
  }

  /** As transformers reads such a folder, of older and newer programs. */
  @ParameterizedTest
  @ValueSource(ints = {0, 1, 2, 3})
  void givesTheIdsOfTheReferenceFromAVocabularyAndMerges(int which) throws IOException {
    JsonNode golden = TokenizerGolden.read("text/vocabulary.json");
    Path files = vocabulary("vocabulary");
    JsonNode expected = golden.get("folders").get(which);
    for (var file : expected.get("files").properties()) {
      Files.writeString(files.resolve(file.getKey()), file.getValue().toString());
    }
    try (StudentTokenizer made = StudentTokenizer.load(files)) {
      TokenizerGolden.assertEqualIds(
          golden.get("texts"), expected.get("ids"), text -> made.encode(text, 10_000));
      TokenizerGolden.assertEqualIds(
          golden.get("texts"),
          expected.get("cut"),
          text -> made.encode(text, golden.get("context").asInt()));
    }
  }

  /** A folder with only vocab.json and merges.txt, by those who end lines as on Windows. */
  private Path vocabulary(String name) throws IOException {
    Path files = Files.createDirectory(folder.resolve(name));
    var all = TokenizerFolder.files(Files.readString(folder.resolve("tokenizer.json")), 0);
    Files.write(files.resolve("vocab.json"), all.get("vocab.json"));
    String merges = new String(all.get("merges.txt"), StandardCharsets.UTF_8);
    Files.writeString(files.resolve("merges.txt"), merges.replace("\n", "\r\n"));
    return files;
  }

  @Test
  void namesWhatIsWrongWithAVocabularyAndMerges() throws IOException {
    Path files = vocabulary("vocabulary");
    Path vocab = files.resolve("vocab.json");
    Path merges = files.resolve("merges.txt");
    String tokens = Files.readString(vocab);
    Files.writeString(vocab, tokens.replace("<|startoftext|>", "<start>"));
    assertRefused(files, "its vocab.json: it lacks the special token '<|startoftext|>'");
    Files.writeString(files.resolve("special_tokens_map.json"), "{\"bos_token\": \"<start>\"}");
    try (StudentTokenizer made = StudentTokenizer.load(files)) {
      assertThat(made.encode("red", 77)).startsWith(START).endsWith(END).hasSize(3);
    }
    Files.writeString(
        files.resolve("special_tokens_map.json"),
        "{\"bos_token\": \"<start>\", \"additional_special_tokens\": [\"red</w>\", \"<i>\"]}");
    assertRefused(files, "its vocab.json: it lacks the special token '<i>'");
    Files.writeString(vocab, tokens.substring(0, 100));
    assertRefused(files, "its vocab.json: it is not JSON");
    Files.writeString(vocab, "[1]");
    assertRefused(files, "its vocab.json: it is not an object of tokens and ids");
    Files.writeString(vocab, tokens);
    Files.delete(files.resolve("special_tokens_map.json"));
    Files.writeString(merges, "#version: 0.2\nl e</w>\nonly\n");
    assertRefused(files, "its merges.txt: its line 3 is not of two symbols with a space: only");
    Files.writeString(merges, "l unknown");
    assertRefused(files, "the tokenizers library refuses it");
    Files.writeString(
        files.resolve("tokenizer_config.json"), "{\"added_tokens_decoder\": {\"x\": {}}}");
    assertRefused(files, "its tokenizer_config.json: 'x' is no id of a token");
    Files.delete(files.resolve("tokenizer_config.json"));
    String pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n";
    Files.writeString(merges, pointer);
    assertRefused(files, "its merges.txt: it is a Git LFS pointer: run git lfs pull");
    Files.writeString(vocab, pointer);
    assertRefused(files, "its vocab.json: it is a Git LFS pointer: run git lfs pull");
    Files.writeString(files.resolve("tokenizer.json"), pointer);
    assertRefused(files, "because it is a Git LFS pointer: run git lfs pull");
    Files.delete(files.resolve("tokenizer.json"));
    Files.delete(merges);
    assertRefused(
        files, "there is no tokenizer.json in its folder, nor vocab.json with merges.txt");
  }

  private static void assertRefused(Path folder, String message) {
    assertThatThrownBy(() -> StudentTokenizer.load(folder))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining(message)
        .hasMessageContaining(folder.toString());
  }

  @Test
  void knowsItsSpecialTokens() {
    assertThat(tokenizer.vocabSize()).isEqualTo(555);
    assertThat(tokenizer.startId()).isEqualTo(START);
    assertThat(tokenizer.endId()).isEqualTo(END);
    assertThat(tokenizer.padId()).isEqualTo(END);
  }

  @Test
  void keepsTheEndTokenOfACutCaption() {
    int[] whole = tokenizer.encode("a red square's shadow on the blue circle", 77);
    assertThat(whole).startsWith(START).endsWith(END).hasSizeLessThan(77);
    for (int length = 2; length < whole.length; length++) {
      int[] expected = Arrays.copyOf(whole, length);
      expected[length - 1] = END;
      assertThat(tokenizer.encode("a red square's shadow on the blue circle", length))
          .isEqualTo(expected);
    }
    assertThat(tokenizer.encode("a red square's shadow on the blue circle", whole.length))
        .isEqualTo(whole);
    assertThatThrownBy(() -> tokenizer.encode("a", 1))
        .hasMessage("Cannot encode into a context of 1: start and end token need 2.");
  }

  @Test
  void ignoresATruncationThatWasSavedInTheFile() throws IOException {
    ObjectNode json = (ObjectNode) TokenizerGolden.read("text/clip/tokenizer.json");
    json.putObject("truncation")
        .put("direction", "Right")
        .put("max_length", 4)
        .put("strategy", "LongestFirst")
        .put("stride", 0);
    Files.writeString(folder.resolve("tokenizer.json"), json.toString());
    try (StudentTokenizer again = StudentTokenizer.load(folder)) {
      String caption = "the red square on the blue circle";
      assertThat(again.encode(caption, 77)).isEqualTo(tokenizer.encode(caption, 77)).hasSize(9);
    }
  }

  @Test
  void encodesOnSeveralThreadsAsOnOne() {
    List<String> captions =
        IntStream.range(0, 2000).mapToObj(i -> "red square " + i + " café " + i % 7).toList();
    List<int[]> expected = captions.stream().map(c -> tokenizer.encode(c, 20)).toList();
    List<int[]> parallel = captions.parallelStream().map(c -> tokenizer.encode(c, 20)).toList();
    assertThat(parallel.toArray(int[][]::new)).isDeepEqualTo(expected.toArray(int[][]::new));
  }

  @Test
  void refusesAStudentThatDoesNotFit() {
    assertThatCode(() -> tokenizer.checkFits(555, END)).doesNotThrowAnyException();
    assertThatCode(() -> tokenizer.checkFits(600, 2)).doesNotThrowAnyException();
    assertThatThrownBy(() -> tokenizer.checkFits(554, END))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("the tokenizer has 555 ids and the student vocab_size 554");
    assertThatThrownBy(() -> tokenizer.checkFits(555, 49407))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("ends captions with id 554 and the student pools at id 49407");
  }

  @Test
  void loadsAFolderWithSpacesInItsName() throws IOException {
    Path spaces = Files.createDirectory(folder.resolve("100% a tokenizer"));
    Files.copy(folder.resolve("tokenizer.json"), spaces.resolve("tokenizer.json"));
    try (StudentTokenizer loaded = StudentTokenizer.load(spaces)) {
      assertThatCode(() -> loaded.checkFits(600, END)).doesNotThrowAnyException();
    }
  }

  @Test
  void refusesFoldersThatAreNoClipTokenizer() throws IOException {
    Path empty = Files.createDirectory(folder.resolve("empty"));
    assertThatThrownBy(() -> StudentTokenizer.load(empty))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining(
            "there is no tokenizer.json in its folder, nor vocab.json with merges.txt: file:"
                + empty);

    ObjectNode json = (ObjectNode) TokenizerGolden.read("text/clip/tokenizer.json");
    json.putNull("post_processor");
    Files.writeString(empty.resolve("tokenizer.json"), json.toString());
    assertThatThrownBy(() -> StudentTokenizer.load(empty))
        .isInstanceOf(TokenizerException.class)
        .hasMessageContaining("it puts 0 tokens around a caption instead of CLIP's start and end");
  }
}
