package io.github.kklip.kmeans;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import java.util.List;
import org.junit.jupiter.api.Test;

class MiniBatchTest {
  private static LocalRows line(float... values) {
    return new LocalRows(
        List.of(List.of(new VectorBlock(0, 0, new long[values.length], values))), 1);
  }

  @Test
  void centresAreTheMeansOfAllRowsThatTheyGot() {
    List<LocalRows> batches = List.of(line(0, 10), line(2, 14), line(1, 12, 13));
    RowStatistics totals = RowStatistics.of(line(0, 10, 2, 14, 1, 12, 13));

    Lloyd.LloydResult result =
        Lloyd.run(
            new MiniBatch(batches::get, totals, 2), new Centres(2, 1, new float[] {-1, 11}), 3, 0);

    assertThat(result.centres().values()).containsExactly(1, 12.25f);
    // Of the first batch, the squared distances 1 and 1, for 7 rows instead of 2.
    assertThat(result.inertia().get(0)).isCloseTo(7, within(1e-9));
  }

  @Test
  void aCentreThatNeverGotARowGoesToTheFarthestOfTheBatch() {
    Lloyd.Step step =
        new MiniBatch(batch -> line(0, 1, 20), RowStatistics.of(line(0, 1, 20)), 2)
            .step(new Centres(2, 1, new float[] {0, -50}));

    assertThat(step.centres().values()).containsExactly(7, 20);
  }

  @Test
  void cosineIgnoresLengths() {
    float[] rows = {1, 0.1f, 50, 0, 0.1f, 1, 0, 3};
    for (int row = 0; row < 4; row++) {
      Centres.toUnitLength(rows, 2 * row, 2);
    }
    LocalRows unit = new LocalRows(List.of(List.of(new VectorBlock(0, 0, new long[4], rows))), 1);

    Centres centres =
        Lloyd.run(
                Lloyd.spherical(Lloyd.gemm(unit, RowStatistics.of(unit))),
                new Centres(2, 2, new float[] {1, 0, 0, 1}),
                5,
                0)
            .centres();

    // The directions half way between the two rows of each centre.
    double half = Math.atan(0.1) / 2;
    assertThat(centres.values()[0]).isCloseTo((float) Math.cos(half), within(1e-6f));
    assertThat(centres.values()[1]).isCloseTo((float) Math.sin(half), within(1e-6f));
    assertThat(centres.values()[2]).isCloseTo((float) Math.sin(half), within(1e-6f));
  }
}
