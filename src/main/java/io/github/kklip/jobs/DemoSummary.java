package io.github.kklip.jobs;

import io.github.kklip.eval.EvaluationSummary;

/**
 * How the two models of the demo compare.
 *
 * @param clip plain CLIP
 * @param kklip the same trained with KKLIP's two other losses
 * @param report the page that compares them
 */
public record DemoSummary(EvaluationSummary clip, EvaluationSummary kklip, String report) {}
