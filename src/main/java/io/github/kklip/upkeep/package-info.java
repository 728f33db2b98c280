/** Looks after a dataset that is there: deletes what nothing needs, takes rows down. */
package io.github.kklip.upkeep;
