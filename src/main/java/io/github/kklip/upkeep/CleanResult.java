package io.github.kklip.upkeep;

import com.fasterxml.jackson.annotation.JsonIgnore;
import java.util.List;
import java.util.SortedMap;

/**
 * What {@code clean} found. A file is an orphan when nothing needs it and it is old enough.
 *
 * @param orphans files that nothing needs
 * @param bytes of these
 * @param kinds orphans by what they are
 * @param deleted of the orphans: all or none
 * @param young files that nothing needs but that are not old enough
 * @param inUse files that nothing names, in folders that another job is writing to
 * @param foreign files that are not this program's, which stay
 * @param runs registered runs
 * @param lines a line for each orphan and each foreign file
 */
public record CleanResult(
    String dataset,
    long orphans,
    long bytes,
    SortedMap<String, Long> kinds,
    long deleted,
    long deletedBytes,
    long young,
    long youngBytes,
    long inUse,
    long foreign,
    long foreignBytes,
    int runs,
    @JsonIgnore List<String> lines) {
  public CleanResult {
    lines = List.copyOf(lines);
  }
}
