package io.github.kklip.config;

import static io.github.kklip.config.Role.Kind.NONE;
import static io.github.kklip.config.Role.Kind.ROUNDING;
import static io.github.kklip.config.Role.Output.CONCEPTS;
import static io.github.kklip.config.Role.Output.RUN;
import static io.github.kklip.config.Role.Output.TEACHER;
import static io.github.kklip.config.Role.When.EMB_HAS_WEIGHT;

import java.io.Serializable;

/** The teacher and what its embeddings of captions are. */
public record TeacherSettings(
    @Key(text = Key.TextForm.FOLDER_NAME)
        @Role(value = TEACHER, kind = NONE)
        @Role(value = CONCEPTS, content = "its embeddings and their mean")
        @Role(value = RUN, when = EMB_HAS_WEIGHT, content = "its embeddings and their mean")
        String name,
    @Key(text = Key.TextForm.PATH) @Role(value = TEACHER, content = "identity of its files")
        String path,
    @Role(TEACHER) Dtype dtype,
    @Role(TEACHER) TokenPooling pooling,
    @Key(min = -1, max = 1000) @Role(TEACHER) int layer,
    @Role(CONCEPTS) @Role(value = RUN, when = EMB_HAS_WEIGHT) Postprocess postprocess,
    @Key(flat = true) TeacherInputSettings input,
    @Key(choices = {"float32", "float16"}) @Role(TEACHER) Dtype storage)
    implements Serializable {

  /** How the states of tokens become one vector. */
  public enum TokenPooling {
    MEAN,
    MEAN_BOS,
    LAST
  }

  /** What is done to embeddings when they are read. */
  public enum Postprocess {
    CENTRE_L2,
    NONE
  }

  /** What happens to a caption of more than {@code teacher.max-length} tokens. */
  public enum LongCaptions {
    CUT,
    REFUSE
  }

  /** The tokens that the teacher sees. */
  public record TeacherInputSettings(
      @Key(min = 2, max = 1_000_000) @Role(TEACHER) int maxLength,
      @Role(TEACHER) LongCaptions longCaptions,
      @Role(value = TEACHER, kind = ROUNDING) int batchTokens)
      implements Serializable {}
}
