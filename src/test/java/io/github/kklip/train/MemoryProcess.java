package io.github.kklip.train;

import ai.djl.Device;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.comms.Collective;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.config.ElementType;
import io.github.kklip.tensor.ResidentMemory;
import io.github.kklip.tensor.Torch;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * A training in a process of its own, for its memory: prints the estimate, what the process took at
 * its peak more than when it was idle, and what it took outside of the heap, in bytes. It is
 * stopped after some steps, so that the loader comes to its bound. Arguments: folder of the data,
 * settings.
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
    long peak = trained(plan, new SoloCollective());
    long heap = Runtime.getRuntime().maxMemory();
    System.out.println(
        MemoryEstimate.of(plan).total() + " " + (peak - idle * 1024) + " " + (peak - heap));
  }

  /** Trains some steps; the most memory that this process ever took, in bytes. */
  static long trained(TrainPlan plan, Collective collective) throws IOException {
    AtomicInteger step = new AtomicInteger();
    Trainer.run(
        plan,
        new Rank(collective, Device.cpu(), 1),
        TinyDataset.CONFIGURATION,
        TrainProgress.SILENT,
        () -> step.incrementAndGet() == 4);
    return ResidentMemory.peakKibibytes() * 1024;
  }
}
