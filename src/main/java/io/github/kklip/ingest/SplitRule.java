package io.github.kklip.ingest;

import io.github.kklip.config.IngestSettings.SourceSplit;
import io.github.kklip.store.Split;

/**
 * Which split the images of a source go to.
 *
 * @param fraction share of the validation split, where the source leaves it to the image's hash
 */
record SplitRule(SourceSplit set, double fraction) {
  Split of(String imageId) {
    return switch (set) {
      case AUTO -> Layout.split(imageId, fraction);
      case TRAIN -> Split.TRAIN;
      case VALIDATION -> Split.VALIDATION;
      case TEST -> Split.TEST;
    };
  }
}
