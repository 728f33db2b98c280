package io.github.kklip.ingest;

import java.util.SortedMap;

/**
 * What one run of ingest found. {@code input = pairs + rejects}.
 *
 * @param input candidates in the sources
 * @param pairs rows that are new in the dataset
 * @param ignored archive members that are no candidates
 * @param reasons rejects by reason; a row that the dataset has already is a {@code duplicate}
 * @param dataset the dataset's folder
 */
public record IngestResult(
    long input,
    long pairs,
    long rejects,
    long ignored,
    SortedMap<String, Long> reasons,
    String dataset) {}
