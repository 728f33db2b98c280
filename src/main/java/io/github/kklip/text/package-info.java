/** Tokenizers: captions to the ids of the student (CLIP) and of the teacher (Llama). */
package io.github.kklip.text;
