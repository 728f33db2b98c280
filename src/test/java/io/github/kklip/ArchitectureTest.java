package io.github.kklip;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;

import ai.djl.ndarray.NDArray;
import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;

/** Holds the table of ARCHITECTURE.md: a package may import only what stands below it. */
class ArchitectureTest {
  private static final String ROOT = "io.github.kklip";

  /** From the top to the bottom; packages in one row do not know each other. */
  private static final List<List<String>> LAYERS =
      List.of(
          List.of("jobs"),
          List.of("ml"),
          List.of("cluster"),
          List.of("ingest", "tokenize", "concept"),
          List.of("eval", "export"),
          List.of("train"),
          List.of("comms"),
          List.of("loss", "optim"),
          List.of("model", "teacher"),
          List.of("image", "text"),
          List.of("store"),
          List.of("tensor"),
          List.of("config"));

  private static final Set<String> MAY_USE_SPARK =
      Set.of("jobs", "ml", "cluster", "ingest", "tokenize", "concept");

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(ROOT, "ai.djl.pytorch.jni");

  @Test
  void everyPackageHasItsPlace() {
    Set<String> placed =
        LAYERS.stream().flatMap(List::stream).collect(Collectors.toCollection(TreeSet::new));
    Set<String> found =
        CLASSES.stream()
            .map(c -> c.getPackageName())
            .filter(p -> p.startsWith(ROOT + "."))
            .map(p -> p.substring(ROOT.length() + 1))
            .collect(Collectors.toCollection(TreeSet::new));
    Assertions.assertThat(placed).containsAll(found);
  }

  @Test
  void importsOnlyWhatStandsBelow() {
    List<String> notBelow = new ArrayList<>();
    for (List<String> layer : LAYERS) {
      notBelow.addAll(layer);
      for (String from : layer) {
        String[] forbidden =
            notBelow.stream()
                .filter(to -> !to.equals(from))
                .map(to -> ROOT + "." + to + "..")
                .toArray(String[]::new);
        noClasses()
            .that()
            .resideInAPackage(ROOT + "." + from + "..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(forbidden)
            .allowEmptyShould(true)
            .check(CLASSES);
      }
    }
  }

  @Test
  void sparkStaysAbove() {
    for (List<String> layer : LAYERS) {
      for (String from : layer) {
        if (!MAY_USE_SPARK.contains(from)) {
          noClasses()
              .that()
              .resideInAPackage(ROOT + "." + from + "..")
              .should()
              .dependOnClassesThat()
              .resideInAnyPackage("org.apache.spark..", "scala..")
              .allowEmptyShould(true)
              .check(CLASSES);
        }
      }
    }
  }

  /**
   * DJL's {@code mul(Number)} and its like make a tensor over a Java buffer and forget the buffer:
   * when autograd saves that tensor, a garbage collection between forward and backward leaves a
   * wrong gradient behind. Numbers go through TorchScript, which owns them.
   */
  @Test
  void numbersComeToTensorsThroughTorchScript() {
    noClasses()
        .should()
        .callMethodWhere(
            DescribedPredicate.describe(
                "an arithmetic method of NDArray takes a Number",
                call ->
                    call.getTargetOwner().isAssignableTo(NDArray.class)
                        && call.getTarget().getRawParameterTypes().stream()
                            .anyMatch(type -> type.isEquivalentTo(Number.class))))
        .check(CLASSES);
  }
}
