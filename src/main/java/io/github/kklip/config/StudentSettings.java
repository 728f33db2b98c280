package io.github.kklip.config;

import static io.github.kklip.config.Role.Output.RUN;

import java.io.Serializable;

/** What is trained: shape, first weights and tokenizer. */
public record StudentSettings(
    @Key(text = Key.TextForm.NAME_OR_PATH) @Role(value = RUN, content = "the student's shape")
        String config,
    @Key(text = Key.TextForm.PATH) @Role(value = RUN, content = "weights and config.json")
        String init,
    @Key(text = Key.TextForm.PATH) @Role(value = RUN, content = "tokenizer.json") String tokenizer)
    implements Serializable {}
