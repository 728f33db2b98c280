package io.github.kklip.jobs;

import io.github.kklip.tokenize.TokenizerStage;
import java.util.LinkedHashMap;
import java.util.Map;

/** Trains the student's tokenizer on the captions of the dataset. */
final class TokenizerJob implements Job {
  @Override
  public Map<String, Object> run(JobContext context) throws Exception {
    TokenizerStage.Result result = TokenizerStage.run(context.javaSpark(), context.settings());
    Map<String, Object> fields = new LinkedHashMap<>();
    fields.put("captions", result.captions());
    fields.put("words", result.words());
    fields.put("vocab_size", result.vocabSize());
    fields.put("reused", result.reused());
    fields.put("output", result.output());
    return fields;
  }
}
