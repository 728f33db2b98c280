/**
 * How far a long stage is: counted where the work is done, told as lines in the log, and on a
 * terminal as one line that is rewritten.
 */
package io.github.kklip.progress;
