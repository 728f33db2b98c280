/** Llama in DJL, and the embedding of captions with it. */
package io.github.kklip.teacher;
