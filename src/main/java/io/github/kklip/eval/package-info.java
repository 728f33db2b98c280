/** Evaluation of a model: retrieval, zero-shot classification, and the report of it. */
package io.github.kklip.eval;
