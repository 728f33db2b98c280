package io.github.kklip.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.LogLines;
import io.github.kklip.comms.SoloCollective;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.Identity;
import io.github.kklip.store.RegisteredRun;
import io.github.kklip.store.Takedowns;
import io.github.kklip.tensor.TestDevice;
import io.github.kklip.train.plan.TrainPlan;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.TreeSet;
import java.util.function.BooleanSupplier;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.security.AccessControlException;
import org.apache.hadoop.util.Progressable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which files of the dataset a run uses, and that it tells the dataset so. */
class RunFilesTest {
  @TempDir Path temporary;
  private TinyDataset data;

  @BeforeEach
  void open() throws IOException {
    data = TinyDataset.whole(temporary.resolve("data"), -1, 40, 30);
  }

  private TrainResult train(String run, BooleanSupplier stop) throws IOException {
    return TinyDataset.train(
        data.plan(temporary.resolve(run), "train.steps=9"), new SoloCollective(), stop);
  }

  private static byte[] weights(TrainResult result) throws IOException {
    return Files.readAllBytes(
        Path.of(URI.create(result.checkpoint())).resolve("model.safetensors"));
  }

  @Test
  void aRunThatBeganGoesOnWithItsFilesWhenTheDatasetHasOthers() throws IOException {
    byte[] undisturbed = weights(train("undisturbed", () -> false));
    train("run", () -> true);
    data.leaveSecondShard();
    assertThat(weights(train("run", () -> false))).isEqualTo(undisturbed);
    assertThat(weights(train("later", () -> false))).isNotEqualTo(undisturbed);
  }

  /** `remove` names the runs that it finds registered: this one came after it. */
  @Test
  void aRunThatWouldBeginWithWhatWasTakenDownMeanwhileIsRefused() throws IOException {
    TrainPlan plan = data.plan(temporary.resolve("run"), "train.steps=9");
    TrainPlan begun = data.plan(temporary.resolve("begun"), "train.steps=9");
    TinyDataset.train(begun, new SoloCollective(), () -> true);
    String ids = Takedowns.write(data.dataset(), new TreeSet<>(List.of("an image")));
    data.leaveSecondShard(List.of(ids));
    assertThatThrownBy(() -> TinyDataset.train(plan, new SoloCollective(), () -> false))
        .isInstanceOf(SettingsException.class)
        .hasMessage(
            "Cannot begin the run %s because rows of the dataset %s were taken down since the job read its manifest %s. Run the job again: it begins with the rows that are left.",
            plan.settings().train().output(), data.dataset().root(), plan.manifest());
    // One that had begun was named by the takedown, and keeps its files.
    assertThat(TinyDataset.train(begun, new SoloCollective(), () -> false).complete()).isTrue();
  }

  @Test
  void aRunWhoseFilesAreGoneIsRefused() throws IOException {
    train("run", () -> true);
    String labels =
        data.dataset()
            .requireManifest()
            .concepts()
            .get("concepts")
            .files()
            .get(data.shards().get(0).identity());
    data.leaveSecondShard();
    Files.delete(temporary.resolve("data").resolve(labels));
    assertThatThrownBy(() -> train("run", () -> false))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot go on from the checkpoint ")
        .hasMessageContaining(
            "because 1 of 6 files that the run began with are not in the dataset ")
        .hasMessageContaining(", the first is " + labels)
        .hasMessageEndingWith("Bring them back, or use another train.output.");
  }

  /** Of a version that did not note the derived files in checkpoints. */
  @Test
  void aCheckpointOfFormat2GoesOnWithTheFilesOfTheNewestManifest() throws IOException {
    byte[] undisturbed = weights(train("undisturbed", () -> false));
    toFormat2(train("run", () -> true));
    assertThat(weights(train("run", () -> false))).isEqualTo(undisturbed);

    toFormat2(train("other", () -> true));
    data.leaveSecondShard();
    assertThatThrownBy(() -> train("other", () -> false))
        .isInstanceOf(SettingsException.class)
        .hasMessageStartingWith("Cannot go on with the shards that the run began with because the ")
        .hasMessageContaining("no longer have any for " + data.shards().get(0).file());
  }

  private static void toFormat2(TrainResult result) throws IOException {
    Path state = Path.of(URI.create(result.checkpoint())).resolve("state.json");
    ObjectMapper json = new ObjectMapper();
    ObjectNode tree = (ObjectNode) json.readTree(state.toFile());
    assertThat(tree.remove("derived")).isNotNull();
    tree.put("format", 2);
    Files.write(state, json.writeValueAsBytes(tree));
    Path marker = state.resolveSibling("checkpoint.json");
    ObjectNode files = (ObjectNode) json.readTree(marker.toFile());
    ((ObjectNode) files.get("files").get("state.json"))
        .put("bytes", Files.size(state))
        .put("sha256", Identity.ofBytes(Files.readAllBytes(state)));
    Files.write(marker, json.writeValueAsBytes(files));
  }

  @Test
  void aRunIsRegisteredOnceBeforeItsFirstStep() throws IOException {
    long manifest = data.dataset().requireManifest().number();
    String output = "file:" + temporary.resolve("run");
    TinyDataset.train(
        data.plan(temporary.resolve("run"), "train.steps=9"),
        new SoloCollective(),
        () -> {
          try {
            assertThat(RegisteredRun.list(data.dataset()).values())
                .containsExactly(new RegisteredRun(output, manifest));
          } catch (IOException e) {
            throw new java.io.UncheckedIOException(e);
          }
          return true;
        });
    data.leaveSecondShard();
    train("run", () -> false);
    assertThat(RegisteredRun.list(data.dataset()).values())
        .containsExactly(new RegisteredRun(output, manifest));
    train("later", () -> true);
    assertThat(RegisteredRun.list(data.dataset()).values())
        .containsExactlyInAnyOrder(
            new RegisteredRun(output, manifest),
            new RegisteredRun("file:" + temporary.resolve("later"), manifest + 1));
  }

  @Test
  void aDamagedRegistrationIsNamed() throws IOException {
    train("run", () -> true);
    Path file;
    try (var files = Files.list(temporary.resolve("data/_runs"))) {
      file = files.findFirst().orElseThrow();
    }
    Files.writeString(file, "{");
    assertThatThrownBy(() -> RegisteredRun.list(data.dataset()))
        .isInstanceOf(IOException.class)
        .hasMessageContaining(file.getFileName().toString());
  }

  /** The local disk, which this user may only read. */
  public static final class ReadOnly extends RawLocalFileSystem {
    @Override
    public URI getUri() {
      return URI.create("readonly:///");
    }

    @Override
    public String getScheme() {
      return "readonly";
    }

    @Override
    public boolean mkdirs(org.apache.hadoop.fs.Path folder) throws IOException {
      throw new AccessControlException("no right to write to " + folder);
    }

    @Override
    public FSDataOutputStream create(
        org.apache.hadoop.fs.Path file,
        FsPermission permission,
        boolean overwrite,
        int buffer,
        short replication,
        long block,
        Progressable progress)
        throws IOException {
      throw new AccessControlException("no right to write to " + file);
    }
  }

  @Test
  void aRunThatMayOnlyReadTheDatasetGoesOnWithOneWarning() throws IOException {
    Configuration configuration = TinyDataset.CONFIGURATION;
    configuration.setClass("fs.readonly.impl", ReadOnly.class, ReadOnly.class);
    Settings settings =
        data.plan(
                temporary.resolve("run"),
                "train.steps=2",
                "dataset=readonly:" + data.dataset().root().toUri().getPath())
            .settings();
    try (LogLines lines = new LogLines(RunStart.class.getName())) {
      TrainResult result =
          Trainer.run(
              TrainPlan.of(settings, configuration),
              new Rank(new SoloCollective(), TestDevice.get(), 1),
              configuration,
              TrainProgress.SILENT,
              () -> false);
      assertThat(result.complete()).isTrue();
      assertThat(lines.lines())
          .singleElement()
          .asString()
          .contains(
              "is not registered in the dataset readonly:",
              "because this user may only read it",
              "`clean` spares what the run uses for seven days");
    }
    assertThat(
            RegisteredRun.list(new DatasetFolder(data.dataset().root().toString(), configuration)))
        .isEmpty();
  }
}
