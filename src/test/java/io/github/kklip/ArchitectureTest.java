package io.github.kklip;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.ndarray.NDArray;
import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.Dependency;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Holds the table of ARCHITECTURE.md: a package may import only what stands below it. */
class ArchitectureTest {
  private static final String ROOT = "io.github.kklip";

  /**
   * From the top to the bottom; packages in one row do not know each other. A name is exactly one
   * package: subpackages have places of their own.
   */
  private static final List<List<String>> LAYERS =
      List.of(
          List.of("jobs"),
          List.of("check"),
          List.of("launch", "ml", "upkeep"),
          List.of("ingest", "tokenize", "embed", "concept", "eval", "export"),
          List.of("ingest.sources", "train"),
          List.of("train.step"),
          List.of("train.checkpoint"),
          List.of("train.data", "train.metrics"),
          List.of("train.plan"),
          List.of("teacher", "loss", "optim", "kmeans", "comms"),
          List.of("comms.tcp", "comms.memory", "comms.nccl"),
          List.of("comms.transport", "model", "tasks"),
          List.of("safetensors", "store.shards", "text", "image"),
          List.of("store"),
          List.of("store.publication", "tensor", "report", "progress"),
          List.of("config"));

  /** What makes a dataset out of files needs neither libtorch nor ranks. */
  private static final Set<String> DATA_PREPARATION =
      Set.of(
          "ingest",
          "ingest.sources",
          "tokenize",
          "store",
          "store.shards",
          "store.publication",
          "report",
          "text",
          "image");

  private static final Set<String> BESIDE_DATA_PREPARATION = Set.of("config", "tasks", "progress");

  private static final Set<String> MAY_USE_SPARK =
      Set.of(
          "jobs",
          "check",
          "ml",
          "launch",
          "upkeep",
          "embed",
          "ingest",
          "tokenize",
          "concept",
          "tasks");

  /** Arrows between classes that the search for circles does not follow, each with its reason. */
  private static final Map<String, String> MAY_CLOSE_A_CIRCLE =
      Map.of(
          "config.SettingKey -> config.Settings",
          "keys are the components of the settings' records, found from the root",
          "config.HoconText -> config.Settings",
          "settings render themselves by it",
          "jobs.SparkSubmit -> jobs.Main",
          "spark-submit is told the class with the main method",
          "progress.Progress -> progress.ProgressBoard",
          "a stage tells the board of its process that it begins");

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
          .importPackages(ROOT, "ai.djl.pytorch.jni");

  @Test
  void everyPackageHasItsPlace() {
    List<String> placed = LAYERS.stream().flatMap(List::stream).toList();
    Set<String> found =
        ours().map(ArchitectureTest::packageOf).collect(Collectors.toCollection(TreeSet::new));
    assertThat(placed).containsExactlyInAnyOrderElementsOf(found);
  }

  @Test
  void importsOnlyWhatStandsBelow() {
    Map<String, Integer> row = new HashMap<>();
    for (int i = 0; i < LAYERS.size(); i++) {
      for (String name : LAYERS.get(i)) {
        row.put(name, i);
      }
    }
    Set<String> upward = new TreeSet<>();
    arrows()
        .forEach(
            arrow -> {
              String from = packageOf(arrow.getOriginClass());
              String to = packageOf(arrow.getTargetClass());
              if (!from.equals(to) && row.get(to) <= row.get(from)) {
                upward.add(name(arrow.getOriginClass()) + " -> " + name(arrow.getTargetClass()));
              }
            });
    upward.removeAll(MAY_CLOSE_A_CIRCLE.keySet());
    assertThat(upward).as("imports of what does not stand below").isEmpty();
  }

  @Test
  void dataPreparationNeedsNeitherTensorsNorRanks() {
    Set<String> outside = new TreeSet<>();
    arrows()
        .filter(arrow -> DATA_PREPARATION.contains(packageOf(arrow.getOriginClass())))
        .filter(arrow -> !DATA_PREPARATION.contains(packageOf(arrow.getTargetClass())))
        .filter(arrow -> !BESIDE_DATA_PREPARATION.contains(packageOf(arrow.getTargetClass())))
        .forEach(
            arrow ->
                outside.add(
                    packageOf(arrow.getOriginClass()) + " -> " + name(arrow.getTargetClass())));
    assertThat(outside).as("imports from outside of data preparation").isEmpty();
    noClasses()
        .that()
        .resideInAnyPackage(exactly(DATA_PREPARATION))
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("ai.djl.ndarray..", "ai.djl.pytorch..")
        .check(CLASSES);
  }

  @Test
  void sparkStaysAbove() {
    Set<String> without = new TreeSet<>(LAYERS.stream().flatMap(List::stream).toList());
    without.removeAll(MAY_USE_SPARK);
    noClasses()
        .that()
        .resideInAnyPackage(exactly(without))
        .should()
        .dependOnClassesThat()
        .resideInAnyPackage("org.apache.spark..", "scala..")
        .check(CLASSES);
  }

  @Test
  void classesOfDifferentFilesFormNoCircle() {
    Map<String, Set<String>> graph = new TreeMap<>();
    Set<String> unused = new TreeSet<>(MAY_CLOSE_A_CIRCLE.keySet());
    arrows()
        .forEach(
            arrow -> {
              String from = name(arrow.getOriginClass());
              String to = name(arrow.getTargetClass());
              if (unused.remove(from + " -> " + to)
                  || MAY_CLOSE_A_CIRCLE.containsKey(from + " -> " + to)) {
                return;
              }
              graph.computeIfAbsent(to, any -> new TreeSet<>());
              graph.computeIfAbsent(from, any -> new TreeSet<>()).add(to);
            });
    assertThat(circles(graph)).as("circles of classes").isEmpty();
    assertThat(unused).as("allowed arrows that no class has any more").isEmpty();
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

  private static Stream<JavaClass> ours() {
    return CLASSES.stream().filter(c -> c.getPackageName().startsWith(ROOT + "."));
  }

  /** Every use of a class of another file. */
  private static Stream<Dependency> arrows() {
    return ours()
        .flatMap(c -> c.getDirectDependenciesFromSelf().stream())
        .filter(d -> d.getTargetClass().getPackageName().startsWith(ROOT + "."))
        .filter(d -> !d.getTargetClass().isArray())
        .filter(d -> !name(d.getOriginClass()).equals(name(d.getTargetClass())));
  }

  private static String packageOf(JavaClass c) {
    return c.getPackageName().substring(ROOT.length() + 1);
  }

  /** The package and the class that a file is named after. */
  private static String name(JavaClass c) {
    return c.getName().substring(ROOT.length() + 1).replaceFirst("\\$.*", "");
  }

  private static String[] exactly(Collection<String> packages) {
    return packages.stream().map(name -> ROOT + "." + name).toArray(String[]::new);
  }

  /** The strongly connected components of more than one class, by Tarjan's algorithm. */
  private static List<Set<String>> circles(Map<String, Set<String>> graph) {
    Tarjan search = new Tarjan(graph);
    graph.keySet().forEach(search::visit);
    return search.circles;
  }

  private static final class Tarjan {
    private final Map<String, Set<String>> graph;
    private final Map<String, Integer> index = new HashMap<>();
    private final Map<String, Integer> low = new HashMap<>();
    private final Deque<String> open = new ArrayDeque<>();
    private final List<Set<String>> circles = new ArrayList<>();

    Tarjan(Map<String, Set<String>> graph) {
      this.graph = graph;
    }

    private void visit(String node) {
      if (index.containsKey(node)) {
        return;
      }
      int own = index.size();
      index.put(node, own);
      low.put(node, own);
      open.push(node);
      for (String next : graph.get(node)) {
        visit(next);
        if (open.contains(next)) {
          low.merge(node, low.get(next), Math::min);
        }
      }
      if (low.get(node) == own) {
        Set<String> component = new TreeSet<>();
        String last;
        do {
          last = open.pop();
          component.add(last);
        } while (!last.equals(node));
        if (component.size() > 1) {
          circles.add(component);
        }
      }
    }
  }
}
