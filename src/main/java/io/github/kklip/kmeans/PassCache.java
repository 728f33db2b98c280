package io.github.kklip.kmeans;

import java.util.List;

/**
 * What a pass of k-means leaves with a part of the rows. It is only ever a shortcut.
 *
 * @param pass its number
 * @param sums of the part's rows
 * @param blocks where their rows are assigned, in the blocks' order
 */
record PassCache(long pass, CentreSums sums, List<HamerlyBounds> blocks) {}
