package io.github.kklip.ingest;

import com.fasterxml.jackson.annotation.JsonUnwrapped;
import io.github.kklip.store.DatasetManifest.SourceCounts;
import io.github.kklip.store.DatasetManifest.Totals;
import java.util.List;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * What one run of ingest found. {@code input = pairs + rejects}. Over all runs too: rows that are
 * left out become rejects of the runs that they came with.
 *
 * @param input candidates in the sources
 * @param pairs rows that are new in the dataset
 * @param ignored archive members that are no candidates
 * @param ignoredKinds the same by kind: {@code clutter}, {@code other-pictures} of a sample, {@code
 *     lone-texts}, {@code other}
 * @param reasons rejects by reason; a row that the dataset has already is a {@code duplicate}
 * @param sources the same for each source
 * @param leftOut rows of earlier runs that are no longer part of the dataset, as their images came
 *     in with a split that wins
 * @param dataset the dataset's folder
 * @param totals of the dataset after the run; {@code dataset_pairs} and so on in a RESULT line
 */
public record IngestResult(
    long input,
    long pairs,
    long rejects,
    long ignored,
    SortedMap<String, Long> ignoredKinds,
    SortedMap<String, Long> reasons,
    List<SourceCounts> sources,
    long leftOut,
    String dataset,
    @JsonUnwrapped(prefix = "dataset_") Totals totals) {
  /** Of a run that found nothing new. */
  static IngestResult nothing(String dataset, Totals totals) {
    return new IngestResult(
        0, 0, 0, 0, new TreeMap<>(), new TreeMap<>(), List.of(), 0, dataset, totals);
  }

  /** The same run, of which the totals are those of before, with those of after it. */
  IngestResult with(Totals after) {
    long left = totals.pairs() + pairs - after.pairs();
    return new IngestResult(
        input, pairs, rejects, ignored, ignoredKinds, reasons, sources, left, dataset, after);
  }
}
