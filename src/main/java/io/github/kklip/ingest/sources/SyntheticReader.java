package io.github.kklip.ingest.sources;

import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.Member.Picture;
import java.util.ArrayList;
import java.util.List;
import org.apache.hadoop.conf.Configuration;

/** Pictures of {@link SyntheticWorld}, each with two captions. */
record SyntheticReader(long seed, int images) implements SourceReader {
  static final int SIDE = 64;
  private static final int IMAGES_PER_UNIT = 256;

  @Override
  public List<Unit> plan(Configuration configuration, Unit file) {
    List<Unit> units = new ArrayList<>();
    for (int from = 0; from < images; from += IMAGES_PER_UNIT) {
      int count = Math.min(IMAGES_PER_UNIT, images - from);
      units.add(new Unit(file.source(), file.path(), units.size(), from, count, List.of()));
    }
    return units;
  }

  @Override
  public Members open(Configuration configuration, Unit unit) {
    return new Members() {
      private long index = unit.from();

      @Override
      public Member next() {
        return index < unit.from() + unit.count() ? member(index++) : null;
      }

      @Override
      public void close() {}
    };
  }

  private Member member(long index) {
    SyntheticWorld.Scene scene = SyntheticWorld.scene(seed, index);
    byte[] png = Png.encode(SyntheticWorld.draw(scene, SIDE), SIDE, SIDE);
    List<Caption> captions = new ArrayList<>();
    for (String text : SyntheticWorld.captions(scene, seed, index)) {
      captions.add(Caption.of("caption " + captions.size(), text));
    }
    return Member.of(Long.toString(index), Picture.of(index + ".png", png), captions);
  }
}
