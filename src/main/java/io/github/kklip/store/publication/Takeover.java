package io.github.kklip.store.publication;

/** What becomes of the claim to a folder of a job that does not renew it ({@link Lease}). */
public enum Takeover {
  /** The next job takes the folder over. */
  AFTER_EXPIRY,
  /**
   * The next job is refused, and told which file to remove: on a store where a write cannot be made
   * to fail because another one came first.
   */
  NEVER
}
