package io.github.kklip.faults;

/** What a {@link FaultStore} numbers. A rename by copy has a number for each file's steps. */
public enum Operation {
  CREATE,
  /** One call of write, of any number of bytes. */
  WRITE,
  FLUSH,
  SYNC,
  CLOSE,
  OPEN,
  /** One call of read, of any number of bytes. */
  READ,
  RENAME,
  COPY,
  DELETE,
  LIST,
  STATUS,
  MAKE_FOLDER
}
