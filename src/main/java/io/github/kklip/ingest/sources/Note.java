package io.github.kklip.ingest.sources;

/** What is counted of sources beside their candidates. */
public enum Note {
  /** Members that are {@link Clutter}. */
  CLUTTER,
  /** Pictures of a sample beside the one that was chosen: masks, depth maps, other formats. */
  OTHER_PICTURES,
  /** Texts of which there is no picture. */
  LONE_TEXTS,
  /** Members that are neither pictures nor texts. */
  OTHER,
  /** Captions that were several lines of a text. Nothing of them is ignored. */
  JOINED_LINES;

  /** Whether it counts members that became nothing. */
  public boolean isIgnored() {
    return this != JOINED_LINES;
  }
}
