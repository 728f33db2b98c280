package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.ingest.sources.Sample.Loaded;
import io.github.kklip.ingest.sources.Sample.SamplePart;
import io.github.kklip.ingest.sources.SampleRules.Part;
import io.github.kklip.ingest.sources.SampleRules.SampleName;
import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Samples of members that come one after the other, as WebDataset groups them.
 *
 * <p>Members whose names agree up to the first dot of their last part are a group. A group with a
 * picture or a text directly behind that dot ({@code 0001.jpg}, {@code 0001.txt}) is one sample;
 * what has more dots in it ({@code 0001.seg.png}) is a picture beside the sample's own, and a
 * reject where it has a text of its own. A group without ({@code IMG.0001.jpg}, {@code
 * IMG.0001.txt}, {@code IMG.0002.jpg}, ...) is one sample for each name up to the last dot. Such a
 * group may be a whole archive: of {@value #MOST_WAITING} members at the most is waited for what
 * tells.
 *
 * <p>Members of a sample that come when another has come between are a reject. That is known of the
 * first {@value #MOST_KEYS} samples of an archive; the members of later ones are a picture without
 * a text and a text without a picture.
 */
final class SampleGroups {
  private static final int MOST_WAITING = 64;
  private static final int MOST_KEYS = 1 << 22;

  /** No sample has so many: what has is not kept in memory. */
  private static final int MOST_MEMBERS = 1024;

  private final SampleRules rules;
  private final Sample.Lines lines;
  private final NameIndex keys = new NameIndex(MOST_KEYS, false);
  private final Deque<Member> ready = new ArrayDeque<>();
  private Group group;

  SampleGroups(SampleRules rules, Sample.Lines lines) {
    this.rules = rules;
    this.lines = lines;
  }

  /** Reads the data of a member that may be needed. */
  interface Data {
    Loaded load(Part part) throws IOException;
  }

  /**
   * A member of a group.
   *
   * @param part what it is by all that follows the first dot, then by what follows the last
   */
  private record Waiting(
      String name, String extension, Part part, SampleName last, Part partOfLast, Loaded loaded) {
    SamplePart ofGroup() {
      return new SamplePart(Archive.shown(name), extension, part, () -> loaded);
    }

    SamplePart ofLastDot() {
      return new SamplePart(Archive.shown(name), last.extension(), partOfLast, () -> loaded);
    }

    boolean hasMoreDots() {
      return part == Part.OTHER;
    }
  }

  private static final class Group {
    final String key;
    final List<Waiting> members = new ArrayList<>();
    long bytes;
    boolean hasPicture;
    boolean upToTheLastDot;
    int unkept;

    Group(String key) {
      this.key = key;
    }

    boolean is(Part wanted) {
      return members.stream().anyMatch(member -> member.part == wanted);
    }
  }

  /** The next sample, reject or count; null when more members are needed. */
  Member poll() {
    return ready.poll();
  }

  /** Whether a member can be a part of a sample, by its name without {@code .gz}. */
  boolean takes(String plain) {
    String extension = SampleRules.upToTheFirstDot(plain).extension();
    return rules.part(extension) != Part.OTHER || rules.partOfLast(extension) != Part.OTHER;
  }

  /**
   * Adds a member that can be a part of a sample.
   *
   * @param plain the name without {@code .gz}
   * @throws IOException of {@code data}; the member's sample is then the group that is cut
   */
  void add(String name, String plain, Data data) throws IOException {
    SampleName first = SampleRules.upToTheFirstDot(plain);
    if (group != null && !group.key.equals(first.key())) {
      end();
    }
    if (group == null) {
      group = new Group(first.key());
    }
    SampleName last = rules.upToTheLastDot(plain);
    if (group.upToTheLastDot && !last.key().equals(group.members.get(0).last.key())) {
      finishSamplesUpToTheLastDot(false);
    }
    long most = rules.limits().images().maxBytes();
    if (group.members.size() == MOST_MEMBERS || group.bytes > 4 * most) {
      group.unkept++;
      return;
    }
    Part part = rules.part(first.extension());
    Part partOfLast = rules.part(last.extension());
    // All members of a sample are in memory together.
    Loaded loaded =
        group.bytes > 2 * most
            ? new Loaded(
                null,
                new Problem(
                    Problem.MEMBER_TOO_LARGE, "the other members of its sample are too large"))
            : isNeeded(part, partOfLast)
                ? data.load(part == Part.OTHER ? partOfLast : part)
                : new Loaded(new byte[0], null);
    group.members.add(new Waiting(name, first.extension(), part, last, partOfLast, loaded));
    group.bytes += name.length() + (loaded.bytes() == null ? 0 : loaded.bytes().length);
    group.hasPicture |= part == Part.PICTURE;
    if (!group.hasPicture
        && !group.upToTheLastDot
        && (group.members.size() == MOST_WAITING || group.bytes > 2 * most)) {
      group.upToTheLastDot = true;
      finishSamplesUpToTheLastDot(true);
    }
  }

  private boolean isNeeded(Part part, Part partOfLast) {
    boolean own = part == Part.PICTURE || part == Part.TEXT;
    return own || (!group.hasPicture && (partOfLast == Part.PICTURE || partOfLast == Part.TEXT));
  }

  /** Nothing follows. */
  void end() throws IOException {
    if (group == null) {
      return;
    }
    if (group.upToTheLastDot) {
      finishSamplesUpToTheLastDot(false);
    } else {
      finishGroup();
    }
    group = null;
  }

  /**
   * Nothing follows, because the archive is damaged: what came before stays, and the damage is one
   * reject.
   *
   * @param name of the member that could not be read, without {@code .gz}; empty when it is not
   *     known
   */
  void cut(String name, String reason, String detail) throws IOException {
    String place = name;
    if (group != null) {
      if (!group.hasPicture && !group.upToTheLastDot) {
        group.upToTheLastDot = true;
        finishSamplesUpToTheLastDot(true);
      }
      boolean last = group.upToTheLastDot;
      if (group.members.isEmpty()) {
        // Its first member could not be read.
        group.members.add(
            new Waiting(name, "", Part.OTHER, rules.upToTheLastDot(name), Part.OTHER, null));
      }
      String key = last ? group.members.get(0).last.key() : group.key;
      boolean same =
          key.equals(
              last ? rules.upToTheLastDot(name).key() : SampleRules.upToTheFirstDot(name).key());
      // The rest of this sample may have been in what was cut off.
      if (same || !isWhole(last)) {
        place = key;
        group = null;
      } else {
        end();
      }
    }
    ready.add(Member.problem(Archive.shown(place), reason, detail));
  }

  private boolean isWhole(boolean last) {
    boolean picture = false;
    boolean text = false;
    for (Waiting member : group.members) {
      Part part = last ? member.partOfLast : member.part;
      picture |= part == Part.PICTURE;
      text |= part == Part.TEXT;
    }
    return !picture || text;
  }

  private void finishGroup() throws IOException {
    if (group.unkept > 0) {
      ready.add(tooMany(group.key, group.members.size() + group.unkept));
      return;
    }
    if (!group.is(Part.PICTURE) && !group.is(Part.TEXT) && !group.is(Part.OTHER_PICTURE)) {
      finishSamplesUpToTheLastDot(false);
      return;
    }
    List<SamplePart> own = new ArrayList<>();
    Map<String, List<SamplePart>> beside = new LinkedHashMap<>();
    List<SamplePart> all = new ArrayList<>();
    for (Waiting member : group.members) {
      if (member.hasMoreDots()) {
        beside.computeIfAbsent(member.last.key(), key -> new ArrayList<>()).add(member.ofLastDot());
        all.add(member.ofLastDot());
      } else {
        own.add(member.ofGroup());
        all.add(member.ofGroup());
      }
    }
    if (!group.hasPicture && beside.values().stream().anyMatch(SampleGroups::hasPicture)) {
      finishTextsBesidePictures(own, beside, all);
      return;
    }
    finish(group.key, own);
    for (Map.Entry<String, List<SamplePart>> sample : beside.entrySet()) {
      List<SamplePart> parts = sample.getValue();
      if (hasPicture(parts) && Sample.has(parts, Part.TEXT)) {
        ready.add(
            Sample.ambiguous(
                Archive.shown(sample.getKey()),
                parts,
                message(
                    "a picture with a text of its own stands in the sample %s. Rename it, or name its extensions by image-column and caption-column",
                    Archive.shown(group.key))));
      } else {
        parts.forEach(
            part ->
                ready.add(
                    Member.noted(
                        Map.of(part.part() == Part.TEXT ? Note.OTHER : Note.OTHER_PICTURES, 1))));
      }
    }
  }

  /** {@code IMG.json} beside {@code IMG.0001.jpg}, which has a text of its own or not. */
  private void finishTextsBesidePictures(
      List<SamplePart> own, Map<String, List<SamplePart>> beside, List<SamplePart> all)
      throws IOException {
    boolean paired =
        beside.values().stream()
            .allMatch(parts -> !hasPicture(parts) || Sample.has(parts, Part.TEXT));
    if (!paired) {
      if (isNew(group.key, all)) {
        ready.add(
            Sample.ambiguous(
                Archive.shown(group.key),
                all,
                "the sample has no picture named by its key and one extension. Name the extension by image-column"));
      }
      return;
    }
    finish(group.key, own);
    for (Map.Entry<String, List<SamplePart>> sample : beside.entrySet()) {
      finish(sample.getKey(), sample.getValue());
    }
  }

  /**
   * @param butTheLast whether members of the last sample may follow
   */
  private void finishSamplesUpToTheLastDot(boolean butTheLast) throws IOException {
    int from = 0;
    for (int i = 0; i < group.members.size(); i++) {
      String key = group.members.get(from).last.key();
      boolean ends =
          i + 1 == group.members.size()
              ? !butTheLast
              : !group.members.get(i + 1).last.key().equals(key);
      if (ends) {
        if (group.unkept > 0 && i + 1 == group.members.size()) {
          ready.add(tooMany(key, i + 1 - from + group.unkept));
        } else {
          finish(key, group.members.subList(from, i + 1).stream().map(Waiting::ofLastDot).toList());
        }
        from = i + 1;
      }
    }
    group.members.subList(0, from).clear();
    group.unkept = 0;
    group.bytes = 0;
    for (Waiting member : group.members) {
      group.bytes +=
          member.name.length() + (member.loaded.bytes() == null ? 0 : member.loaded.bytes().length);
    }
  }

  private void finish(String key, List<SamplePart> parts) throws IOException {
    if (isNew(key, parts)) {
      ready.add(Sample.of(Archive.shown(key), parts, rules, lines));
    }
  }

  /** Whether no sample had this key before; what comes again is a reject. */
  private boolean isNew(String key, List<SamplePart> parts) {
    if (!keys.contains(key)) {
      boolean unused = keys.add(key, 0);
      return true;
    }
    ready.add(
        Member.problem(
            Archive.shown(key),
            Problem.MEMBERS_APART,
            message(
                "other members of this sample stand further up in the archive, with other samples between: %s. Write the members of a sample one after the other",
                Sample.names(parts))));
    return false;
  }

  private static Member tooMany(String key, int members) {
    return Member.problem(
        Archive.shown(key),
        Problem.AMBIGUOUS_SAMPLE,
        message("the sample has %s members, at most %s are read", members, MOST_MEMBERS));
  }

  private static boolean hasPicture(List<SamplePart> parts) {
    return Sample.has(parts, Part.PICTURE);
  }
}
