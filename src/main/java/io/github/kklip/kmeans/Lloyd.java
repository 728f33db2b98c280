package io.github.kklip.kmeans;

import io.github.kklip.progress.Progress;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.atomic.AtomicReference;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/** Lloyd's algorithm: assign each row to its nearest centre, move each centre to its rows' mean. */
public final class Lloyd {
  private static final Logger LOG = LoggerFactory.getLogger(Lloyd.class);

  private Lloyd() {}

  /** One iteration, however it is computed. */
  public interface Engine {
    Step step(Centres centres);
  }

  /**
   * The outcome of one iteration.
   *
   * @param inertia sum of squared distances of the rows to the centres before the move
   * @param centres the centres after it
   */
  public record Step(double inertia, Centres centres) {}

  /**
   * The outcome of all iterations.
   *
   * @param inertia of the centres before each iteration
   * @param converged whether the last move was within the tolerance
   */
  public record LloydResult(
      Centres centres, List<Double> inertia, boolean converged, double seconds) {
    int iterations() {
      return inertia.size();
    }

    public double secondsPerIteration() {
      return seconds / iterations();
    }
  }

  /** Iterates until no centre moves further than {@code tolerance}, {@code iterations} at most. */
  public static LloydResult run(Engine engine, Centres start, int iterations, double tolerance) {
    try (Progress progress =
        Progress.of("cluster: k-means", "iterations")
            .total(iterations)
            .every(Duration.ofSeconds(10))
            .begin()) {
      LloydResult result = run(engine, start, iterations, tolerance, progress);
      progress.done();
      return result;
    }
  }

  private static LloydResult run(
      Engine engine, Centres start, int iterations, double tolerance, Progress progress) {
    Centres centres = start;
    List<Double> inertia = new ArrayList<>();
    long begun = System.nanoTime();
    boolean converged = false;
    while (!converged && inertia.size() < iterations) {
      Step step = engine.step(centres);
      double move = step.centres.largestMove(centres);
      centres = step.centres;
      inertia.add(step.inertia);
      converged = move <= tolerance;
      progress.note(
          String.format(Locale.ROOT, "inertia %.4g, largest move %.2g", step.inertia, move));
      progress.add(1);
    }
    return new LloydResult(centres, inertia, converged, (System.nanoTime() - begun) * 1e-9);
  }

  /** Assigns all rows to their nearest centres and sums them by centre. */
  public static CentreSums sums(VectorRows rows, RowStatistics totals, Centres centres) {
    return rows.fold(centres, HamerlyPass.after(null, totals, centres));
  }

  /** Assignment by matrix products; centres without rows go to the rows farthest from theirs. */
  public static Engine gemm(VectorRows rows, RowStatistics totals) {
    AtomicReference<HamerlyPass> last = new AtomicReference<>();
    return centres -> {
      HamerlyPass pass = HamerlyPass.after(last.get(), totals, centres);
      CentreSums sums = rows.fold(centres, pass);
      last.set(pass);
      Centres moved = sums.means(centres);
      reseed(rows, centres, sums.sizes(), moved);
      return new Step(sums.inertia(centres, totals.sumOfSquares()), moved);
    };
  }

  /** The same with centres of unit length: on rows of unit length, k-means by cosine. */
  public static Engine spherical(Engine engine) {
    return centres -> {
      Step step = engine.step(centres);
      return new Step(step.inertia, step.centres.unitLength());
    };
  }

  /** Puts centres without rows onto the rows that are farthest from theirs. */
  static void reseed(VectorRows rows, Centres centres, long[] sizes, Centres moved) {
    List<Integer> empty = new ArrayList<>();
    for (int c = 0; c < sizes.length; c++) {
      if (sizes[c] == 0) {
        empty.add(c);
      }
    }
    if (empty.isEmpty()) {
      return;
    }
    List<float[]> far = Farthest.distinct(rows, centres, empty.size());
    int d = centres.dimension();
    for (int i = 0; i < far.size(); i++) {
      System.arraycopy(far.get(i), 0, moved.values(), empty.get(i) * d, d);
    }
    LOG.info(
        "{} centres had no rows; {} of them go to the farthest rows", empty.size(), far.size());
  }
}
