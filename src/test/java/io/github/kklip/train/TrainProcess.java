package io.github.kklip.train;

import java.nio.file.Path;
import java.util.Arrays;

/**
 * A run of one rank in a process of its own, to be killed. Arguments: folder of a {@link
 * TinyDataset}, folder of the run, settings.
 */
final class TrainProcess {
  private TrainProcess() {}

  public static void main(String[] args) throws Exception {
    TinyDataset data = TinyDataset.at(Path.of(args[0]));
    TinyDataset.train(
        data.plan(Path.of(args[1]), Arrays.copyOfRange(args, 2, args.length)),
        new io.github.kklip.comms.SoloCollective(),
        () -> false);
  }
}
