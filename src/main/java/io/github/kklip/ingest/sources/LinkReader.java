package io.github.kklip.ingest.sources;

import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** What a walk through a folder did not read: each is a reject. */
record LinkReader() implements SourceReader {
  /** The part of a unit whose names are those of files, reasons and details, in turn. */
  private static final int PART = -1;

  /** A unit of what was skipped; the names stand inside {@code folder}. */
  static Unit unit(int source, String folder, List<String> namesReasonsAndDetails) {
    return new Unit(source, folder, PART, 0, 0, namesReasonsAndDetails);
  }

  static boolean reads(Unit unit) {
    return unit.part() == PART;
  }

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) {
    return List.of(file);
  }

  @Override
  public Members open(Configuration configuration, Unit unit) {
    List<Member> members = new ArrayList<>();
    List<String> names = unit.names();
    for (int i = 0; i < names.size(); i += 3) {
      members.add(Member.problem(names.get(i), names.get(i + 1), names.get(i + 2)));
    }
    return Members.of(members.toArray(Member[]::new));
  }
}
