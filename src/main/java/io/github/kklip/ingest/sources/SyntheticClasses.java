package io.github.kklip.ingest.sources;

import io.github.kklip.store.publication.Publication;
import java.io.IOException;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Class folders of the synthetic world for zero-shot classification: one folder for each colour and
 * shape, named {@code red circle} and so on, with pictures of one such object.
 */
public final class SyntheticClasses {
  private SyntheticClasses() {}

  /**
   * Writes the folders; pictures of a seed are always the same, and none is in the training data of
   * the same seed.
   *
   * @return the number of pictures
   */
  public static int write(Configuration configuration, Path folder, long seed, int perClass)
      throws IOException {
    int written = 0;
    for (int colour = 0; colour < SyntheticWorld.COLOURS.size(); colour++) {
      for (int shape = 0; shape < SyntheticWorld.SHAPES.size(); shape++) {
        String name = SyntheticWorld.COLOURS.get(colour) + " " + SyntheticWorld.SHAPES.get(shape);
        for (int index = 0; index < perClass; index++) {
          Path file = new Path(new Path(folder, name), index + ".png");
          write(configuration, file, SyntheticWorld.classScene(shape, colour, seed, index));
          written++;
        }
      }
    }
    return written;
  }

  private static void write(Configuration configuration, Path file, SyntheticWorld.Scene scene)
      throws IOException {
    int side = SyntheticReader.SIDE;
    Publication.write(
        configuration, file, Png.encode(SyntheticWorld.draw(scene, side), side, side));
  }
}
