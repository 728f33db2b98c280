package io.github.kklip.jobs;

import io.github.kklip.tokenize.TokenizerStage;
import java.util.List;

/** Trains the student's tokenizer on the captions of the dataset. */
final class TokenizerJob implements Job<TokenizerStage.TokenizerResult> {
  @Override
  public String purpose() {
    return "Trains the student's byte-level BPE tokenizer on the training captions.";
  }

  @Override
  public List<String> settings() {
    return List.of("dataset", "lease-expiry", "tokenizer");
  }

  @Override
  public TokenizerStage.TokenizerResult run(JobContext context) throws Exception {
    return TokenizerStage.run(context.javaSpark(), context.settings());
  }
}
