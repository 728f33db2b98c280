package io.github.kklip.config;

import java.io.Serializable;

/** What {@code export} writes, and where. */
public record ExportSettings(
    @Key(text = Key.TextForm.PATH) @Role({}) String model,
    @Key(text = Key.TextForm.PATH) @Role({}) String path)
    implements Serializable {}
