/** A file system in memory that fails where a test wants it to, and a clock that tests turn. */
package io.github.kklip.faults;
