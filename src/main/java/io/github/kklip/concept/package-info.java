/** Concepts: k-means over the teacher's embeddings, and the soft labels that it gives the pairs. */
package io.github.kklip.concept;
