package io.github.kklip.kmeans;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.IntStream;

/**
 * Assigns all rows and sums them by centre. What the pass before left in the blocks saves work:
 * rows whose bounds hold are not multiplied ({@link HamerlyBounds}), and a part's sums change only
 * by the rows that change their centre. Where that is lost all is done anew, with the same outcome.
 */
final class HamerlyPass implements Fold<CentreSums> {
  private static final long serialVersionUID = 1;

  /** The number of no pass. */
  private static final long NONE = 0;

  private static final AtomicLong NUMBERS = new AtomicLong();

  /** To look at the far centres of all rows costs about as much as to look at a row of so many. */
  private static final int COST_OF_FAR = 3;

  private final long number = NUMBERS.incrementAndGet();
  private final transient Centres centres;
  private final int k;
  private final int dimension;
  private final Grid grid;

  /** The pass before, and how far the centres have moved since. */
  private final long previous;

  private final Moves moves;

  private HamerlyPass(Centres centres, RowStatistics totals, long previous, Moves moves) {
    this.centres = centres;
    this.k = centres.k();
    this.dimension = totals.dimension();
    this.grid = totals.coordinates();
    this.previous = previous;
    this.moves = moves;
  }

  /**
   * @param last the pass before over the same rows; null for the first
   */
  static HamerlyPass after(HamerlyPass last, RowStatistics totals, Centres centres) {
    return last == null
        ? new HamerlyPass(centres, totals, NONE, null)
        : new HamerlyPass(centres, totals, last.number, Moves.between(last.centres, centres));
  }

  @Override
  public CentreSums zero() {
    return new CentreSums(k, dimension);
  }

  /** A block, what is known of its rows, and those whose nearest centre has to be looked for. */
  private record Unsure(VectorBlock block, HamerlyBounds bounds, int[] rows) {
    Distances.Search search() {
      return new Distances.Search(block, rows, bounds.squares(), bounds::set);
    }
  }

  @Override
  public CentreSums part(Iterator<VectorBlock> blocks, Distances distances) {
    CentreSums sums = zero();
    if (!blocks.hasNext()) {
      return sums;
    }
    VectorBlock first = blocks.next();
    PassCache before =
        first.take() instanceof PassCache cache && cache.pass() == previous ? cache : null;
    boolean follows = before != null;
    if (follows) {
      sums.plus(before.sums());
    }
    List<HamerlyBounds> all = new ArrayList<>();
    List<Unsure> searches = new ArrayList<>();
    int rows = 0;
    for (VectorBlock block = first;
        block != null;
        block = blocks.hasNext() ? blocks.next() : null) {
      HamerlyBounds bounds = follows ? before.blocks().get(all.size()) : new HamerlyBounds(block);
      int[] unsure = follows ? unsure(block, bounds, distances) : all(block);
      all.add(bounds);
      // Rows of several blocks make one product.
      if (rows + unsure.length > VectorBlock.ROWS) {
        search(searches, distances, follows, sums);
        rows = 0;
      }
      searches.add(new Unsure(block, bounds, unsure));
      rows += unsure.length;
    }
    search(searches, distances, follows, sums);
    // The caller may change the sums that it gets.
    first.keep(new PassCache(number, sums.copy(), all));
    return sums;
  }

  private static int[] all(VectorBlock block) {
    int[] rows = new int[block.rows()];
    Arrays.setAll(rows, row -> row);
    return rows;
  }

  /** Moves the bounds; the rows for which they do not hold any more. */
  private int[] unsure(VectorBlock block, HamerlyBounds bounds, Distances distances) {
    boolean looks = bounds.gain(moves) > block.rows() / COST_OF_FAR;
    return bounds.move(moves, looks ? distances.lower(block, moves.far(), bounds.squares()) : null);
  }

  /**
   * @param counted whether the rows stand in the sums, with the centres that they had
   */
  private void search(
      List<Unsure> searches, Distances distances, boolean counted, CentreSums sums) {
    List<int[]> had =
        searches.stream()
            .map(s -> IntStream.of(s.rows).map(row -> s.bounds.centres()[row]).toArray())
            .toList();
    distances.assign(searches.stream().map(Unsure::search).toList());
    for (int s = 0; s < had.size(); s++) {
      Unsure search = searches.get(s);
      for (int i = 0; i < search.rows.length; i++) {
        int row = search.rows[i];
        int centre = search.bounds.centres()[row];
        if (!counted) {
          sums.add(centre, search.block, row, grid);
        } else if (centre != had.get(s)[i]) {
          sums.remove(had.get(s)[i], search.block, row, grid);
          sums.add(centre, search.block, row, grid);
        }
      }
    }
    searches.clear();
  }

  @Override
  public CentreSums add(CentreSums sofar, VectorBlock block, Distances distances) {
    List<Unsure> whole = new ArrayList<>();
    whole.add(new Unsure(block, new HamerlyBounds(block), all(block)));
    search(whole, distances, false, sofar);
    return sofar;
  }

  @Override
  public CentreSums merge(CentreSums left, CentreSums right) {
    return left.plus(right);
  }
}
