package io.github.kklip.store;

import java.io.Serializable;

/**
 * One candidate that is not in the pairs.
 *
 * @param source the file that it came from
 * @param key the member or row inside the source; empty for the source itself
 * @param reason a keyword that the manifest counts by, for example {@code caption-too-short}
 * @param detail what was found, for a person
 */
public record Reject(String source, String key, String reason, String detail)
    implements Serializable {}
