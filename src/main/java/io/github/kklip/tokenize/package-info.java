/** Training of the student's tokenizer: words counted on Spark, merges learned on the driver. */
package io.github.kklip.tokenize;
