package io.github.kklip.tokenize;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.text.TokenizerFolder;
import io.github.kklip.text.TokenizerGolden;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.TreeMap;
import org.junit.jupiter.api.Test;

class TokenizerJsonTest {
  /** {@code tokenize_golden.py} reads it from here. */
  private static final Path FOLDER = Path.of("target", "tokenizer");

  private static BytePairVocabulary learn() throws IOException {
    try (CaptionWords words = new CaptionWords();
        InputStream in =
            TokenizerJsonTest.class.getResourceAsStream("/golden/tokenize/captions.txt")) {
      new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8))
          .lines()
          .forEach(words::add);
      return BytePairTraining.learn(words.counts(), 700, 2);
    }
  }

  @Test
  void countsTheWordsThatTheTokenizerWillSee() {
    try (CaptionWords words = new CaptionWords()) {
      words.add("It's  a Café, a CAFE\u0301!! 42");
      words.add("");
      words.add(" \t ");
      words.add("a<|endoftext|>b");
      Map<String, Long> readable = new TreeMap<>();
      BytePairVocabulary alphabet = BytePairVocabulary.alphabet();
      words
          .counts()
          .forEach(
              (word, count) -> {
                StringBuilder text = new StringBuilder();
                word.chars().forEach(id -> text.append(alphabet.tokens().get(id)));
                readable.put(text.toString(), count);
              });
      // é is composed to U+00E9, whose two bytes show as Ã and ©.
      assertThat(readable)
          .containsExactlyInAnyOrderEntriesOf(
              Map.of(
                  "it</w>",
                  1L,
                  "'s</w>",
                  1L,
                  "a</w>",
                  3L,
                  "cafÃ©</w>",
                  2L,
                  ",</w>",
                  1L,
                  "!!</w>",
                  1L,
                  "4</w>",
                  1L,
                  "2</w>",
                  1L,
                  "b</w>",
                  1L));
    }
  }

  @Test
  void givesTheIdsThatHuggingFaceReadsFromTheFiles() throws IOException {
    BytePairVocabulary vocabulary = learn();
    Files.createDirectories(FOLDER);
    for (Map.Entry<String, byte[]> file :
        TokenizerFolder.files(TokenizerJson.of(vocabulary).toString(), 0).entrySet()) {
      Files.write(FOLDER.resolve(file.getKey()), file.getValue());
    }
    JsonNode golden = TokenizerGolden.read("tokenize/ids.json");
    try (StudentTokenizer tokenizer = StudentTokenizer.load(FOLDER)) {
      assertThat(tokenizer.vocabSize()).isEqualTo(vocabulary.size());
      assertThat(tokenizer.endId()).isEqualTo(vocabulary.size() - 1);
      assertThat(tokenizer.startId()).isEqualTo(vocabulary.size() - 2);
      TokenizerGolden.assertEqualIds(
          golden.get("texts"),
          golden.get("ids"),
          text -> tokenizer.encode(text, Integer.MAX_VALUE));
    }
  }

  @Test
  void learnsTheSameFromTheSameCaptions() throws IOException {
    assertThat(learn()).isEqualTo(learn());
  }
}
