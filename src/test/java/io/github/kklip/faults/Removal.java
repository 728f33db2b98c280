package io.github.kklip.faults;

/**
 * A file of a {@link FaultStore} went from its path: it was deleted, replaced or renamed.
 *
 * @param client who did it
 * @param author who had made the file; empty: the test itself
 * @param path inside the store
 * @param same whether a file of the same content is in its place
 */
public record Removal(String client, String author, String path, boolean same) {}
