package io.github.kklip.store;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.store.publication.ConditionalCreate;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.LeaseHeldException;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Publication and leases on S3, over HTTP. */
class S3Test {
  @TempDir private static java.nio.file.Path folder;
  private static S3Server s3;
  private static Configuration configuration;

  @BeforeAll
  static void start() throws IOException {
    s3 = new S3Server(folder.resolve("objects"));
    configuration = s3.configuration();
  }

  @AfterAll
  static void stop() throws IOException {
    s3.close();
  }

  @Test
  void anObjectAppearsAtCommitAndReplacesWhatWasThere() throws IOException {
    Path target = new Path(s3.url("publication/file"));
    for (String text : List.of("first", "second")) {
      List<String> before = s3.keys();
      try (Publication publication = Publication.of(configuration, target)) {
        try (OutputStream out = publication.create()) {
          out.write(text.getBytes(StandardCharsets.UTF_8));
        }
        assertThat(s3.keys()).isEqualTo(before);
        publication.commit();
      }
      assertThat(Files.readString(s3.file("publication/file"))).isEqualTo(text);
    }
  }

  @Test
  void aProcessThatIsKilledInAShardLeavesNoObject() throws Exception {
    Process writer =
        new ProcessBuilder(
                java.nio.file.Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-Djava.io.tmpdir=" + Files.createTempDirectory(folder, "spool"),
                "-cp",
                System.getProperty("java.class.path"),
                HalfShard.class.getName(),
                configuration.get("fs.s3a.endpoint"),
                s3.url("killed/train-00000.parquet"))
            .redirectError(ProcessBuilder.Redirect.DISCARD)
            .start();
    try (var lines = writer.inputReader(StandardCharsets.UTF_8)) {
      assertThat(lines.readLine()).isEqualTo("half");
    } finally {
      writer.destroyForcibly();
    }
    assertThat(writer.waitFor(20, TimeUnit.SECONDS)).isTrue();
    assertThat(s3.keys()).noneMatch(key -> key.startsWith("killed/"));
  }

  /** Writes some row groups of a shard and waits for its end. */
  static final class HalfShard {
    private HalfShard() {}

    public static void main(String[] arguments) throws Exception {
      Configuration configuration = new Configuration();
      configuration.set("fs.s3a.endpoint", arguments[0]);
      configuration.set("fs.s3a.endpoint.region", "us-east-1");
      configuration.set("fs.s3a.path.style.access", "true");
      configuration.set("fs.s3a.access.key", S3Server.ACCESS_KEY);
      configuration.set("fs.s3a.secret.key", S3Server.SECRET_KEY);
      Path path = new Path(arguments[1]);
      Storage.of(configuration, path).exists(path);
      try (ShardWriter<Pair> writer = new ShardWriter<>(configuration, path, PairFormat.ALL, 8)) {
        for (int i = 0; i < 20; i++) {
          byte[] image = new byte[1 << 16];
          String id = Identity.ofImage(new byte[] {(byte) i});
          writer.write(new Pair(id, id, "caption " + i, image, 8, 8, "test"));
        }
        System.out.println("half");
        System.out.flush();
        System.in.read();
        writer.commit();
      }
    }
  }

  @Test
  void anObjectIsCreatedOnceThoughS3AItselfHasNoSuchCreate() throws IOException {
    Path target = new Path(s3.url("manifests/000000001.json"));
    byte[] first = "first".getBytes(StandardCharsets.UTF_8);
    byte[] second = "second".getBytes(StandardCharsets.UTF_8);
    assertThat(ConditionalCreate.isPossible(configuration, target.getParent())).isTrue();
    assertThat(ConditionalCreate.create(configuration, target, first)).isTrue();
    assertThat(ConditionalCreate.create(configuration, target, second)).isFalse();
    assertThat(Files.readString(s3.file("manifests/000000001.json"))).isEqualTo("first");
    // The answer to our own request may be lost, and the client sends it again.
    assertThatThrownBy(() -> ConditionalCreate.create(configuration, target, first))
        .hasMessageContaining("because S3 answered: ");
  }

  @Test
  void aDatasetOnS3ChangesByNumberedManifests() throws IOException {
    DatasetFolder dataset = new DatasetFolder(s3.url("numbered"), configuration);
    ProcessingSettings settings = new ProcessingSettings(new java.util.TreeMap<>());
    for (int i = 0; i < 3; i++) {
      Shard shard = new Shard(Split.TRAIN, i, 1, "id" + i, "pairs/1/" + i + ".parquet", "");
      DatasetManifest before = dataset.readManifest().orElse(DatasetManifest.empty(settings));
      Manifests.commit(
          dataset, before, newest -> newest.with(TestDataset.generation(List.of(shard))));
    }
    assertThat(dataset.requireManifest().number()).isEqualTo(3);
    assertThat(dataset.requireManifest().shards()).hasSize(3);
  }

  @Test
  void aLeaseKeepsTheSecondJobOut() throws IOException {
    Path dataset = new Path(s3.url("leased"));
    Duration expiry = Duration.ofMinutes(1);
    try (Lease first = Lease.acquire(configuration, dataset, "first", expiry)) {
      first.renew();
      assertThatThrownBy(() -> Lease.acquire(configuration, dataset, "second", expiry))
          .isInstanceOf(LeaseHeldException.class)
          .hasMessageContaining("because the job first on ");
      first.check();
    }
    assertThat(s3.keys()).noneMatch(key -> key.startsWith("leased/"));
    Lease.acquire(configuration, dataset, "second", expiry).close();
    assertThat(s3.keys()).noneMatch(key -> key.startsWith("leased/"));
  }

  @Test
  void wrongCredentialsAreAnErrorThatDoesNotShowThem() {
    Configuration wrong = s3.configuration();
    wrong.set("fs.s3a.secret.key", "wrong-and-secret");
    wrong.setBoolean("fs.s3a.impl.disable.cache", true);

    assertThatThrownBy(() -> new DatasetFolder(s3.url("dataset"), wrong).requireManifest())
        .isInstanceOf(IOException.class)
        .message()
        .contains("dataset")
        .doesNotContain("wrong-and-secret");
  }
}
