package io.github.kklip.cluster;

import java.util.function.Consumer;

/**
 * What a rank is told.
 *
 * @param rank its number
 * @param ranks how many there are
 * @param place where it computes
 * @param attempt 0 for the first start of the stage, one more for every start by Spark after that
 * @param progress takes lines that the driver shows; rank 0 calls it, from one thread
 */
public record RankScope(
    int rank, int ranks, TaskPlace place, int attempt, Consumer<String> progress) {}
