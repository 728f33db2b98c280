/** Hugging Face folders made of a run's checkpoints. */
package io.github.kklip.export;
