package io.github.kklip.faults;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.github.kklip.faults.FaultStore.Rule;
import io.github.kklip.store.Reject;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.ShardWriter;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.FutureTask;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIOException;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

class FaultStoreTest {
  private FaultStore store = FaultStore.open("test", Rule.HDFS);

  @AfterEach
  void close() {
    store.close();
  }

  @Test
  void filesAndFoldersAreAsOnHdfs() throws IOException {
    FileSystem files = files("a");
    write(files, "x/y/one", "1");
    write(files, "x/y/two", "22");

    assertThat(names(files, "x/y")).containsExactly("one", "two");
    assertThat(names(files, "x")).containsExactly("y");
    assertThat(files.getFileStatus(store.path("x/y/two")).getLen()).isEqualTo(2);
    assertThatThrownBy(() -> files.delete(store.path("x"), false))
        .isInstanceOf(PathIsNotEmptyDirectoryException.class);
    assertThat(files.rename(store.path("x/y/one"), store.path("x/y/two"))).isFalse();
    assertThat(files.rename(store.path("x/y"), store.path("x/z"))).isTrue();
    assertThat(files.rename(store.path("none"), store.path("x/z"))).isFalse();
    assertThat(read(files, "x/z/two")).isEqualTo("22");
    assertThat(files.delete(store.path("x"), true)).isTrue();
    assertThatThrownBy(() -> files.open(store.path("x/z/two")))
        .isInstanceOf(FileNotFoundException.class);
    assertThatThrownBy(() -> files.listStatus(store.path("x")))
        .isInstanceOf(FileNotFoundException.class);
  }

  @Test
  void aCreatedFileExcludesAtOnceAndShowsWhatWasFlushed() throws IOException {
    FileSystem files = files("a");
    try (FSDataOutputStream out = files.create(store.path("file"), false)) {
      assertThatThrownBy(() -> files("b").create(store.path("file"), false))
          .isInstanceOf(FileAlreadyExistsException.class);
      out.write(new byte[3]);
      assertThat(files.getFileStatus(store.path("file")).getLen()).isZero();
      out.hflush();
      assertThat(files.getFileStatus(store.path("file")).getLen()).isEqualTo(3);
      files("b").delete(store.path("file"), false);
      assertThatThrownBy(out::hsync).isInstanceOf(FileNotFoundException.class);
    } catch (FileNotFoundException e) {
      assertThat(e).hasMessageContaining("was removed or replaced");
    }
  }

  @Test
  void publicationReplacesInOneStep() throws IOException {
    Configuration configuration = store.configuration("a");
    for (String text : List.of("first", "second")) {
      Publication.write(
          configuration, store.path("folder/file"), text.getBytes(StandardCharsets.UTF_8));
    }

    assertThat(read(files("a"), "folder/file")).isEqualTo("second");
    assertThat(names(files("a"), "folder")).containsExactly("file");
    assertThat(store.log()).noneMatch(event -> event.operation() == Operation.DELETE);
  }

  @Test
  void parquetIsWrittenAndRead() throws IOException {
    Configuration configuration = store.configuration("a");
    Path file;
    try (ShardWriter<Reject> writer =
        new ShardWriter<>(
            configuration, store.path("rejects/part-00000.parquet"), new RejectFormat(), 8)) {
      for (int i = 0; i < 20; i++) {
        writer.write(new Reject("unit", "member " + i, "reason", "detail"));
      }
      file = writer.commit().file();
    }

    try (ShardReader<Reject> reader = ShardReader.open(configuration, file, new RejectFormat())) {
      assertThat(reader.rows()).isEqualTo(20);
      assertThat(reader.readGroup(0).get(7).key()).isEqualTo("member 7");
    }
  }

  @Test
  void aReaderSeeks() throws IOException {
    FileSystem files = files("a");
    write(files, "file", "0123456789");
    try (FSDataInputStream in = files.open(store.path("file"))) {
      in.seek(7);
      assertThat(in.read()).isEqualTo('7');
      byte[] bytes = new byte[3];
      in.readFully(2, bytes);
      assertThat(bytes).asString(StandardCharsets.UTF_8).isEqualTo("234");
      assertThat(in.getPos()).isEqualTo(8);
      assertThat(in.readAllBytes()).hasSize(2);
      assertThat(in.read()).isEqualTo(-1);
    }
  }

  @Test
  void aCrashStopsAllUntilTheRestart() throws IOException {
    FileSystem files = files("a");
    write(files, "before", "1");
    store.startCounting();
    store.inject(new Fault(Fault.Kind.CRASH, "", 3, false, Duration.ZERO));
    FSDataOutputStream out = files.create(store.path("file"));
    out.write(1);
    assertThatThrownBy(out::hsync).isInstanceOf(DeadProcessException.class);
    assertThatThrownBy(out::close).isInstanceOf(DeadProcessException.class);
    assertThatThrownBy(() -> files.exists(store.path("before")))
        .isInstanceOf(DeadProcessException.class);
    assertThat(store.operations()).isEqualTo(3);

    store.restart(1);
    assertThat(read(files, "before")).isEqualTo("1");
    assertThatThrownBy(() -> out.write(1)).isInstanceOf(DeadProcessException.class);
  }

  @Test
  void whatWasSyncedOutlivesThePowerLossAndNothingElseSurely() throws IOException {
    FileSystem files = files("a");
    Set<String> contents = new HashSet<>();
    for (int seed = 0; seed < 60; seed++) {
      FaultStore.Snapshot empty = store.snapshot();
      try (FSDataOutputStream out = files.create(store.path("file"))) {
        out.writeBytes("synced");
        out.hsync();
        out.writeBytes("more");
      }
      store.restart(seed);
      String content = read(files, "file");
      assertThat(content).startsWith("synced");
      contents.add(content);
      store.restore(empty);
    }

    assertThat(contents)
        .contains("synced", "syncedmore", "syncedmo", "synced\0\0\0\0")
        .allSatisfy(text -> assertThat(text).hasSizeBetween(6, 10));
  }

  @Test
  void aClientDiesAlone() throws IOException {
    store.inject(Fault.at(Fault.Kind.CRASH, 2, 1).of("a"));
    write(files("b"), "one", "1");
    FileSystem files = files("a");
    assertThat(files.exists(store.path("one"))).isTrue();
    assertThatThrownBy(() -> files.exists(store.path("one")))
        .isInstanceOf(DeadProcessException.class);
    assertThat(read(files("b"), "one")).isEqualTo("1");
  }

  @Test
  void oneOperationFailsWithOrWithoutEffect() throws IOException {
    FileSystem files = files("a");
    for (boolean done : List.of(false, true)) {
      store.startCounting();
      store.inject(new Fault(Fault.Kind.IO_EXCEPTION, "", 1, done, Duration.ZERO));
      String folder = "folder" + done;
      assertThatThrownBy(() -> files.mkdirs(store.path(folder)))
          .isInstanceOf(InjectedException.class)
          .hasMessage("Injected at MAKE_FOLDER 1 of a, /" + folder);
      assertThat(files.exists(store.path(folder))).isEqualTo(done);
    }
    write(files, "file", "text");
    store.startCounting();
    store.inject(new Fault(Fault.Kind.FS_ERROR, "", 2, false, Duration.ZERO));
    assertThatThrownBy(() -> read(files, "file"))
        .isInstanceOf(FSError.class)
        .hasCauseInstanceOf(InjectedException.class);
    assertThat(read(files, "file")).isEqualTo("text");
  }

  @Test
  void aFullStoreTakesBytesAgainWhenSomeWereDeleted() throws IOException {
    FileSystem files = files("a");
    write(files, "old", "1234");
    store.startCounting();
    store.inject(Fault.at(Fault.Kind.NO_SPACE, 1, 0));
    assertThatThrownBy(() -> write(files, "new", "56"))
        .isInstanceOf(InjectedException.class)
        .hasMessage("No space left on device");
    assertThat(files.getFileStatus(store.path("new")).getLen()).isZero();
    files.delete(store.path("old"), false);
    write(files, "new", "56");
    assertThatThrownBy(() -> write(files, "newer", "789")).isInstanceOf(InjectedException.class);
    store.restart(0);
    write(files, "newer", "789");
  }

  @Test
  void onS3AFileAppearsWhenItIsClosedAndReplaces() throws IOException {
    reopen(Rule.S3);
    FileSystem files = files("a");
    assertThat(Storage.isObjectStore(store.configuration("a"), store.path("file"))).isTrue();
    FSDataOutputStream first = files.create(store.path("folder/file"), false);
    FSDataOutputStream second = files("b").create(store.path("folder/file"), false);
    first.writeBytes("first");
    first.hsync();
    assertThat(files.exists(store.path("folder/file"))).isFalse();
    first.close();
    second.writeBytes("second");
    second.close();

    assertThat(read(files, "folder/file")).isEqualTo("second");
    assertThatThrownBy(() -> files.create(store.path("folder/file"), false))
        .isInstanceOf(FileAlreadyExistsException.class);
    store.restart(3);
    assertThat(read(files, "folder/file")).isEqualTo("second");
  }

  @Test
  void onS3ARenameIsACopyThatMayEndHalfWay() throws IOException {
    reopen(Rule.S3);
    FileSystem files = files("a");
    write(files, "from/one", "1");
    write(files, "from/two", "2");
    store.startCounting();
    assertThat(files.rename(store.path("from"), store.path("to"))).isTrue();
    assertThat(store.files().keySet()).containsExactly("/to/one", "/to/two");
    assertThat(store.log())
        .extracting(event -> event.operation() + " " + event.path())
        .containsExactly(
            "RENAME /from",
            "COPY /from",
            "COPY /from/one",
            "COPY /from/two",
            "DELETE /from/two",
            "DELETE /from/one",
            "DELETE /from");

    store.startCounting();
    store.inject(new Fault(Fault.Kind.CRASH, "", 6, false, Duration.ZERO));
    assertThatThrownBy(() -> files.rename(store.path("to"), store.path("from")))
        .isInstanceOf(DeadProcessException.class);
    assertThat(store.files().keySet()).containsExactly("/from/one", "/from/two", "/to/one");
  }

  @Test
  void aConditionalCreateFailsWhenItIsClosed() throws IOException {
    reopen(Rule.S3);
    assertThat(files("a").hasPathCapability(store.path("x"), FaultStore.CONDITIONAL)).isFalse();
    assertThatThrownBy(() -> conditional(files("a")))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining(FaultStore.CONDITIONAL);

    reopen(Rule.S3_CONDITIONAL);
    assertThat(files("a").hasPathCapability(store.path("x"), FaultStore.CONDITIONAL)).isTrue();
    FSDataOutputStream first = conditional(files("a"));
    FSDataOutputStream second = conditional(files("b"));
    assertThat(first.hasCapability(FaultStore.CONDITIONAL)).isTrue();
    first.writeBytes("first");
    second.writeBytes("second");
    second.close();
    assertThatThrownBy(first::close)
        .isInstanceOf(PathIOException.class)
        .hasMessageContaining("status 412");
    assertThat(read(files("a"), "file")).isEqualTo("second");
  }

  @Test
  void ofTwoUnconditionalCreatesBothSucceedUnderLatency() throws Exception {
    reopen(Rule.S3);
    int both = 0;
    for (int seed = 0; seed < 50; seed++) {
      VirtualClock clock = new VirtualClock();
      FaultStore.Snapshot empty = store.snapshot();
      store.latency(clock, seed, Duration.ofMillis(100));
      List<Boolean> created = clock.run(List.of(creator("a"), creator("b")));
      both += created.get(0) && created.get(1) ? 1 : 0;
      assertThat(created).contains(true);
      store.restore(empty);
    }

    assertThat(both).isBetween(25, 50);
  }

  private Callable<Boolean> creator(String client) {
    return () -> {
      try (FSDataOutputStream out = files(client).create(store.path("file"), false)) {
        out.writeBytes(client);
      } catch (FileAlreadyExistsException e) {
        return false;
      }
      return true;
    };
  }

  @Test
  void aPauseStopsTheWholeClientUntilItIsReleased() throws Exception {
    store.inject(new Fault(Fault.Kind.PAUSE, "a", 1, false, Duration.ZERO));
    FutureTask<Boolean> first = inThread(() -> files("a").mkdirs(store.path("one")));
    assertThat(store.awaitPause("a", Duration.ofMinutes(1))).isTrue();
    FutureTask<Boolean> second = inThread(() -> files("a").mkdirs(store.path("two")));
    assertThat(files("b").exists(store.path("one"))).isFalse();
    assertThat(files("b").exists(store.path("two"))).isFalse();
    store.release("a");

    assertThat(first.get(1, TimeUnit.MINUTES)).isTrue();
    assertThat(second.get(1, TimeUnit.MINUTES)).isTrue();
    assertThat(files("b").exists(store.path("one"))).isTrue();
  }

  @Test
  void aPauseEndsByTheClock() throws Exception {
    VirtualClock clock = new VirtualClock();
    store.latency(clock, 1, Duration.ZERO);
    Fault fault = new Fault(Fault.Kind.PAUSE, "a", 1, true, Duration.ZERO);
    store.inject(fault.lasting(Duration.ofMinutes(6)));
    clock.run(List.of(() -> files("a").mkdirs(store.path("one"))));

    assertThat(clock.nanos()).isEqualTo(Duration.ofMinutes(6).toNanos());
  }

  @Test
  void theLogSaysWhoDidWhat() throws IOException {
    write(files("a"), "x/file", "1");
    files("b").delete(store.path("x/file"), false);

    assertThat(store.log())
        .extracting(event -> event.number() + event.client() + event.operation() + event.path())
        .containsExactly("1aCREATE/x/file", "2aWRITE/x/file", "3aCLOSE/x/file", "4bDELETE/x/file");
    assertThat(store.operations("a")).isEqualTo(3);
  }

  @Test
  void aSnapshotIsWhatWasThere() throws IOException {
    FileSystem files = files("a");
    write(files, "file", "1");
    FaultStore.Snapshot snapshot = store.snapshot();
    String digest = store.digest();
    write(files, "file", "2");
    write(files, "other", "3");
    assertThat(store.digest()).isNotEqualTo(digest);
    store.restore(snapshot);
    assertThat(store.digest()).isEqualTo(digest);
    write(files, "other", "3");
    store.restore(snapshot);
    assertThat(store.files()).containsOnlyKeys("/file");
  }

  @Test
  void ageGoesToAllFiles() throws IOException {
    store.write("/x/file", new byte[] {1});
    long before = files("a").getFileStatus(store.path("x/file")).getModificationTime();
    store.age(Duration.ofDays(8));

    assertThat(files("a").getFileStatus(store.path("x/file")).getModificationTime())
        .isEqualTo(before - Duration.ofDays(8).toMillis());
  }

  private void reopen(Rule rule) {
    store.close();
    store = FaultStore.open("test", rule);
  }

  private FileSystem files(String client) throws IOException {
    return store.path("").getFileSystem(store.configuration(client));
  }

  private FSDataOutputStream conditional(FileSystem files) throws IOException {
    return (FSDataOutputStream)
        files.createFile(store.path("file")).must(FaultStore.CONDITIONAL, true).build();
  }

  private void write(FileSystem files, String path, String text) throws IOException {
    try (FSDataOutputStream out = files.create(store.path(path))) {
      out.writeBytes(text);
    }
  }

  private String read(FileSystem files, String path) throws IOException {
    try (FSDataInputStream in = files.open(store.path(path))) {
      return new String(in.readAllBytes(), StandardCharsets.UTF_8);
    }
  }

  private List<String> names(FileSystem files, String path) throws IOException {
    return Arrays.stream(files.listStatus(store.path(path)))
        .map(FileStatus::getPath)
        .map(Path::getName)
        .toList();
  }

  private static FutureTask<Boolean> inThread(Callable<Boolean> task) {
    FutureTask<Boolean> future = new FutureTask<>(task);
    Thread thread = new Thread(future);
    thread.setDaemon(true);
    thread.start();
    return future;
  }

  @Test
  void aFaultStrikesWhereTheOperationFailsByItselfToo() throws Exception {
    FileSystem files = store.path("").getFileSystem(store.configuration("a"));
    store.inject(new Fault(Fault.Kind.CRASH, "a", 1, true, Duration.ZERO));
    assertThatThrownBy(() -> files.exists(store.path("none")))
        .isInstanceOf(DeadProcessException.class);
    assertThat(store.struck()).startsWith("STATUS 1 of a, /none");
  }

  @Test
  void whoRemovedWhatIsKnown() throws Exception {
    store.write("/theirs", new byte[] {1});
    FileSystem files = store.path("").getFileSystem(store.configuration("a"));
    for (String name : List.of("mine", "other")) {
      files.create(store.path(name)).close();
    }
    files.create(store.path("mine"), true).close();
    assertThat(files.rename(store.path("theirs"), store.path("moved"))).isTrue();
    files.delete(store.path("other"), false);
    store.remove("/mine");
    assertThat(store.removals())
        .containsExactly(
            new Removal("a", "a", "/mine", true),
            new Removal("a", "", "/theirs", false),
            new Removal("a", "a", "/other", false));
  }
}
