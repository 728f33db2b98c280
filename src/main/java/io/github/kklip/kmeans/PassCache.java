package io.github.kklip.kmeans;

import java.util.List;

/**
 * What {@link HamerlyPass} leaves with a part of the rows.
 *
 * @param pass its number
 * @param sums of the part's rows
 * @param blocks bounds of their rows, in the blocks' order
 */
record PassCache(long pass, CentreSums sums, List<HamerlyBounds> blocks)
    implements VectorBlock.Leftover {}
