package io.github.kklip.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * What a setting may be, beyond its type. The key is the component's name in lower case with
 * hyphens, within the section of its record.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
@interface Key {
  /** The least number. */
  double min() default 0;

  /** The largest number; the type's own bound if it is lower. */
  double max() default Double.MAX_VALUE;

  /** A whole number is a size in bytes, such as {@code 64 MiB}. */
  boolean bytes() default false;

  TextForm text() default TextForm.PLAIN;

  /** The constants that this key takes, if not all of its type: their keywords. */
  String[] choices() default {};

  /** Of an entry of a list: its value where it is not given, as HOCON. Empty: it must be given. */
  String absent() default "";

  /** Of an entry of a list that has a {@code format}: the formats that know the key; empty: all. */
  String[] formats() default {};

  /** The keys of this record stand in the section of the record around it. */
  boolean flat() default false;

  /** What a text is. */
  enum TextForm {
    PLAIN,
    /** A path; a relative one of the local file system becomes absolute. */
    PATH,
    /** A path if it has a slash or ends with .json, else a name. */
    NAME_OR_PATH,
    /** A name that becomes a folder of the dataset. */
    FOLDER_NAME
  }
}
