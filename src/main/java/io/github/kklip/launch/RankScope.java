package io.github.kklip.launch;

import io.github.kklip.tasks.TaskPlace;

/**
 * What a rank is told.
 *
 * @param rank its number
 * @param ranks how many there are
 * @param place where it computes
 * @param attempt 0 for the first start of the stage, one more for every start by Spark after that
 * @param progress tells the driver; called on rank 0, from one thread
 */
public record RankScope(int rank, int ranks, TaskPlace place, int attempt, RankProgress progress) {}
