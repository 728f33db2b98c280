package io.github.kklip.config;

import java.lang.annotation.ElementType;
import java.lang.annotation.Repeatable;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;

/**
 * What a setting means to the outputs that it touches. {@link Roles} derives from these what makes
 * an output what it is, so that no stage lists keys. Every key has one; {@code @Role({})} touches
 * none of the outputs.
 */
@Retention(RetentionPolicy.RUNTIME)
@Target(ElementType.RECORD_COMPONENT)
@Repeatable(Role.All.class)
public @interface Role {
  /** The outputs that this is about. */
  Output[] value();

  Kind kind() default Kind.IDENTITY;

  /** Other settings under which the setting counts. */
  When when() default When.ALWAYS;

  /**
   * What stands for the value: a path or a name counts by what is in it, a choice that is left open
   * by what was chosen. The stage knows it and gives it to {@link Roles}. Empty: the value itself.
   */
  String content() default "";

  /** What is kept and gone on with. */
  enum Output {
    DATASET,
    TOKENIZER,
    TEACHER,
    CONCEPTS,
    RUN
  }

  enum Kind {
    /** Another value makes another output: the one that is there is refused. */
    IDENTITY,
    /** Another value gives the same up to rounding: it is announced. */
    ROUNDING,
    /** As an identity while the output is unfinished; a finished one can be gone on with. */
    EXTENDABLE,
    /** Another value changes nothing in the output, or only in what is added to it. */
    NONE
  }

  enum When {
    ALWAYS,
    IMAGES_ARE_REENCODED,
    TEMPERATURE_IS_AUTO,
    TOP_K_IS_AUTO,
    EMB_HAS_WEIGHT,
    CONCEPT_HAS_WEIGHT
  }

  /** Several roles of one setting. */
  @Retention(RetentionPolicy.RUNTIME)
  @Target(ElementType.RECORD_COMPONENT)
  @interface All {
    Role[] value();
  }
}
