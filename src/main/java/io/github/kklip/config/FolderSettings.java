package io.github.kklip.config;

import java.io.Serializable;
import java.time.Duration;

/** What holds for all folders that jobs write to. */
public record FolderSettings(@Role({}) Duration leaseExpiry, CleanSettings clean)
    implements Serializable {}
