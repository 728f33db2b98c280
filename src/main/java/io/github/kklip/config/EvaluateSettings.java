package io.github.kklip.config;

import java.io.Serializable;
import java.util.List;

/** What {@code evaluate} measures, and where it reports. */
public record EvaluateSettings(
    @Key(text = Key.TextForm.PATH) @Role({}) String model,
    @Key(text = Key.TextForm.PATH) @Role({}) String report,
    @Role({}) EvaluateSplit split,
    @Key(min = 1) @Role({}) int maxImages,
    @Key(min = 1) @Role({}) int batch,
    @Role({}) List<ZeroShotSettings> zeroShot,
    @Key(max = 1000) @Role({}) int examples)
    implements Serializable {

  /** What is evaluated on. */
  public enum EvaluateSplit {
    /** Test where the dataset has that split, else validation. */
    AUTO,
    VALIDATION,
    TEST
  }

  /**
   * One zero-shot classification: a folder with one folder of images for each class.
   *
   * @param classNames a file that names the classes; empty: {@code classnames.txt} in the folder,
   *     or else the names of the folders
   */
  public record ZeroShotSettings(
      String name,
      @Key(text = Key.TextForm.PATH) String path,
      @Key(text = Key.TextForm.PATH, absent = "\"\"") String classNames,
      @Key(absent = "[\"a photo of a {}.\"]") List<String> templates)
      implements Section.Checked, Serializable {
    @Override
    public void check(Section section) {
      section.require(
          !templates.isEmpty() && templates.stream().allMatch(t -> t.contains("{}")),
          "templates",
          "a list of texts with {} where the class goes");
    }
  }
}
