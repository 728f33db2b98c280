package io.github.kklip.ingest.sources;

import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** Links that were not followed: each is a reject. */
record LinkReader() implements SourceReader {
  /** The part of a unit whose names are links and why they are skipped, in turn. */
  private static final int PART = -1;

  /** A unit of skipped links; their names stand inside {@code folder}. */
  static Unit unit(int source, String folder, List<String> namesAndWhys) {
    return new Unit(source, folder, PART, 0, 0, namesAndWhys);
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
    for (int i = 0; i < unit.names().size(); i += 2) {
      members.add(Member.problem(unit.names().get(i), Problem.LINK, unit.names().get(i + 1)));
    }
    return Members.of(members.toArray(Member[]::new));
  }
}
