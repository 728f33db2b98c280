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
    AtomicInteger step = new AtomicInteger();
    long idle = ResidentMemory.kibibytes();
    Trainer.run(
        plan,
        new Rank(new SoloCollective(), Device.cpu(), 1),
        TinyDataset.CONFIGURATION,
        TrainProgress.SILENT,
        () -> step.incrementAndGet() == 4);
    long peak = ResidentMemory.peakKibibytes();
    long heap = Runtime.getRuntime().maxMemory();
    System.out.println(
        MemoryEstimate.of(plan).total() + " " + (peak - idle) * 1024 + " " + (peak * 1024 - heap));
  }
}
