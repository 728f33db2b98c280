package io.github.kklip.train;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.tensor.ElementType;
import io.github.kklip.tensor.ResidentMemory;
import io.github.kklip.tensor.Torch;
import java.nio.file.Path;
import java.util.Arrays;

/**
 * A training in a process of its own, for its memory: prints the estimate and what the process took
 * more at its peak than when it was idle, in bytes. Arguments: folder of the data, settings.
 */
final class MemoryProcess {
  private MemoryProcess() {}

  public static void main(String[] args) throws Exception {
    Path folder = Path.of(args[0]);
    TinyDataset data = TinyDataset.pairs(folder.resolve("data"), 300);
    TrainPlan plan = data.plan(folder.resolve("run"), Arrays.copyOfRange(args, 1, args.length));
    Torch.start(1);
    try (NDManager manager = Torch.manager()) {
      // Loads what products need.
      var x = Torch.zeros(manager, new Shape(64, 64), ElementType.FLOAT32);
      x.matMul(x).close();
    }
    long idle = ResidentMemory.kibibytes();
    Trainer.run(
        plan,
        new Rank(new SoloCollective(), Device.cpu(), 1),
        TinyDataset.CONFIGURATION,
        TrainProgress.SILENT,
        () -> false);
    System.out.println(
        MemoryEstimate.of(plan).total() + " " + (ResidentMemory.peakKibibytes() - idle) * 1024);
  }
}
