package io.github.kklip.config;

import static io.github.kklip.config.Role.Output.TOKENIZER;

import java.io.Serializable;

/** The student's tokenizer. */
public record TokenizerSettings(
    @Key(min = 514, max = 1_000_000) @Role(TOKENIZER) int vocabSize,
    @Key(min = 1) @Role(TOKENIZER) int minFrequency)
    implements Serializable {}
