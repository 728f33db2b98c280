package io.github.kklip.faults;

import java.io.FileNotFoundException;
import java.io.IOException;
import java.lang.reflect.Constructor;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.PathIOException;
import org.apache.hadoop.fs.PathIsNotEmptyDirectoryException;

/**
 * Files in memory that outlive the file systems which show them, and what goes wrong with them.
 *
 * <p>All operations have numbers; {@link #inject} makes one of them fail. What bypasses the numbers
 * ({@link #read}, {@link #write}, {@link #files}, {@link #digest}) is for the test itself.
 *
 * <pre>{@code
 * try (FaultStore store = FaultStore.open("data", Rule.HDFS)) {
 *   Configuration configuration = store.configuration("first");
 *   store.inject(Fault.at(Fault.Kind.CRASH, 17, seed));
 *   ... // store.path("dataset")
 *   store.restart(seed);
 * }
 * }</pre>
 */
public final class FaultStore implements AutoCloseable {
  /** When a file that is written is there for others. */
  public enum Rule {
    /**
     * As HDFS: a file is there, empty, when it is created, in one step; others see what was
     * flushed; what was not synced is lost with the power; rename is one step.
     */
    HDFS,
    /**
     * As S3A of Hadoop before 3.4.2: a file appears when its stream is closed, replaces what is
     * there, and is safe then; create without overwrite looks only when it is called; rename is a
     * copy of each file and then a removal.
     */
    S3,
    /**
     * The same with {@value #CONDITIONAL}, as S3A since Hadoop 3.4.2: a stream made with that
     * option fails when it is closed if there is a file by then.
     */
    S3_CONDITIONAL;

    boolean appearsAtClose() {
      return this != HDFS;
    }
  }

  /** Names the client of a configuration. */
  public static final String CLIENT = "fs.fault.client";

  /** Path capability, stream capability and option of {@code createFile}. */
  public static final String CONDITIONAL = "fs.option.create.conditional.overwrite";

  /** Of a client that is to be released. */
  private static final Duration LONGEST_PAUSE = Duration.ofMinutes(2);

  private static final Map<String, FaultStore> STORES = new ConcurrentHashMap<>();

  /** What a store held at one moment. */
  public static final class Snapshot {
    private final FileTree tree;

    private Snapshot(FileTree tree) {
      this.tree = tree;
    }
  }

  /** What an operation does once its number is known. */
  @FunctionalInterface
  interface Effect<T> {
    T apply() throws IOException;
  }

  private final String name;
  private final Rule rule;
  private final List<Fault> faults = new ArrayList<>();
  private final List<OperationEvent> events = new ArrayList<>();
  private final Map<String, Long> counts = new HashMap<>();

  /** Operations of its client so far on what is under the folder of a fault. */
  private final Map<Fault, Long> countsUnder = new HashMap<>();

  private final Set<String> dead = new HashSet<>();

  /** Clients that do nothing more. */
  private final Set<String> ended = new HashSet<>();

  /** When a client that stands goes on; {@link Long#MAX_VALUE}: when it is released. */
  private final Map<String, Long> paused = new HashMap<>();

  private FileTree tree = new FileTree();
  private FaultClock clock = FaultClock.REAL;
  private long mostLatency;
  private SplittableRandom random = new SplittableRandom(0);
  private long count;
  private long capacity = Long.MAX_VALUE;
  private int buffer;
  private String uncounted = "";

  /** The last operation that a fault struck. */
  private String struck = "";

  /** Streams of before a restart are dead. */
  private long epoch;

  private FaultStore(String name, Rule rule) {
    this.name = name;
    this.rule = rule;
  }

  /** A new, empty store, at its name until it is closed. */
  public static FaultStore open(String name, Rule rule) {
    FaultStore store = new FaultStore(name, rule);
    if (STORES.putIfAbsent(name, store) != null) {
      throw new IllegalStateException("There is a store of the name " + name + " already");
    }
    return store;
  }

  /** The store of a name in this process. */
  static FaultStore named(String name) {
    FaultStore store = STORES.get(name);
    if (store == null) {
      throw new IllegalStateException("There is no store of the name " + name);
    }
    return store;
  }

  @Override
  public void close() {
    STORES.remove(name, this);
  }

  /** A configuration with which this store is reached, by a client of that name. */
  public Configuration configuration(String client) {
    Configuration configuration = new Configuration();
    configure(client).forEach(configuration::set);
    return configuration;
  }

  /** The entries of {@link #configuration}. For Spark, with {@code spark.hadoop.} before each. */
  public Map<String, String> configure(String client) {
    Map<String, String> entries = new TreeMap<>();
    entries.put(CLIENT, client);
    for (String scheme : List.of("fault", "s3")) {
      entries.put("fs." + scheme + ".impl", FaultFileSystem.class.getName());
      entries.put("fs." + scheme + ".impl.disable.cache", "true");
      entries.put("fs.AbstractFileSystem." + scheme + ".impl", FaultFileContext.class.getName());
    }
    entries.put("fs.fault.kklip.atomic-rename", "true");
    return entries;
  }

  /**
   * The address of a file or folder. Stores with S3's rules have the scheme {@code s3}, which KKLIP
   * knows for an object store, the others {@code fault}.
   */
  public Path path(String inside) {
    return new Path(rule.appearsAtClose() ? "s3" : "fault", name, "/" + inside);
  }

  public Rule rule() {
    return rule;
  }

  /**
   * From now on clients write and read by pieces of that many bytes, as those of HDFS and S3 do: an
   * operation is a piece, not a call.
   */
  public synchronized void buffer(int bytes) {
    buffer = bytes;
  }

  /**
   * From now on operations of threads whose name begins so have no number of their client: they
   * come by the clock, between those of its work.
   */
  public synchronized void uncounted(String threads) {
    uncounted = threads;
  }

  synchronized int buffer() {
    return buffer;
  }

  /** Every operation waits before it takes effect, and before it returns. */
  public synchronized void latency(FaultClock time, long seed, Duration most) {
    clock = time;
    random = new SplittableRandom(seed);
    mostLatency = most.toNanos();
  }

  /** From now on this goes wrong as well. */
  public synchronized void inject(Fault fault) {
    faults.add(fault);
  }

  /** Number of operations so far. */
  public synchronized long operations() {
    return count;
  }

  /** Number of operations of one client so far. */
  public synchronized long operations(String client) {
    return counts.getOrDefault(client, 0L);
  }

  /** All operations so far, in order. */
  public synchronized List<OperationEvent> log() {
    return List.copyOf(events);
  }

  /** Files that went since counting began, in order. */
  public synchronized List<Removal> removals() {
    return List.copyOf(tree.removals());
  }

  /** The client that made a file; empty: the test itself. */
  public synchronized String author(String path) {
    return tree.get(path).author;
  }

  /** The operation that a fault struck last, since counting began; empty: none. */
  public synchronized String struck() {
    return struck;
  }

  /** Forgets operations and faults: the next one has the number 1. */
  public synchronized void startCounting() {
    count = 0;
    counts.clear();
    countsUnder.clear();
    events.clear();
    tree.removals().clear();
    faults.clear();
    ended.clear();
    struck = "";
  }

  /** A client that stands goes on. */
  public synchronized void release(String client) {
    paused.remove(client);
    notifyAll();
  }

  /** The client will do nothing more: who waits for its pause goes on. */
  public synchronized void end(String client) {
    ended.add(client);
    notifyAll();
  }

  /** What the client still does fails. */
  public synchronized void kill(String client) {
    dead.add(client);
    notifyAll();
  }

  /**
   * Waits until a client stands or has ended.
   *
   * @return whether it stands
   * @throws IllegalStateException when it does neither within the limit
   */
  public synchronized boolean awaitPause(String client, Duration limit)
      throws InterruptedException {
    long end = System.nanoTime() + limit.toNanos();
    while (!paused.containsKey(client)) {
      long left = TimeUnit.NANOSECONDS.toMillis(end - System.nanoTime());
      if (ended.contains(client)) {
        return false;
      }
      if (left <= 0) {
        throw new IllegalStateException(client + " neither stands nor ends");
      }
      wait(left);
    }
    return true;
  }

  /**
   * The store after the power came back, for new processes: of what was not synced, all, a piece or
   * nothing is there, or zeros are in its place. Folders, names and lengths are as they were told
   * to be, as HDFS keeps them in its journal. Faults are over.
   */
  public synchronized void restart(long seed) {
    tree.losePower(seed);
    epoch++;
    dead.clear();
    paused.clear();
    faults.clear();
    capacity = Long.MAX_VALUE;
    notifyAll();
  }

  /** What is there now; costs little, as contents are shared. */
  public synchronized Snapshot snapshot() {
    return new Snapshot(tree.copy());
  }

  /** Puts the store back. Processes that wrote to it are dead, faults are over. */
  public synchronized void restore(Snapshot snapshot) {
    restart(0);
    tree = snapshot.tree.copy();
  }

  /** SHA-256 of each file's content, by its path inside the store. */
  public synchronized NavigableMap<String, String> files() {
    NavigableMap<String, String> digests = new TreeMap<>();
    tree.nodes()
        .forEach(
            (path, node) -> {
              if (!node.folder) {
                digests.put(path, HexFormat.of().formatHex(sha256().digest(node.content())));
              }
            });
    return digests;
  }

  /** Of all files: names and contents. */
  public String digest() {
    MessageDigest digest = sha256();
    files()
        .forEach((path, content) -> digest.update((path + "\0" + content + "\n").getBytes(UTF_8)));
    return HexFormat.of().formatHex(digest.digest());
  }

  private static final java.nio.charset.Charset UTF_8 = StandardCharsets.UTF_8;

  /** The content of a file. */
  public synchronized byte[] read(String path) {
    return tree.get(path).content();
  }

  /** Makes or replaces a file, whole and safe. */
  public synchronized void write(String path, byte[] bytes) {
    write(path, bytes, System.currentTimeMillis());
  }

  /**
   * The same.
   *
   * @param modified when the file was changed last, in milliseconds since 1970
   */
  public synchronized void write(String path, byte[] bytes, long modified) {
    FileTree.Node node = new FileTree.Node(false, "", modified);
    node.append(bytes, 0, bytes.length);
    node.visible = node.length;
    node.synced = node.length;
    try {
      tree.makeFolders(FileTree.parent(path));
    } catch (IOException e) {
      throw new IllegalArgumentException(e);
    }
    tree.link(path, node);
  }

  /** Removes a file. */
  public synchronized void remove(String path) {
    tree.remove(path);
  }

  /** All that is there becomes older. */
  public synchronized void age(Duration duration) {
    tree.nodes().values().forEach(node -> node.modified -= duration.toMillis());
  }

  // What file systems ask for.

  /** Where a file is written to. */
  final class Writing {
    private final String client;
    private final String path;
    private final boolean conditional;
    private final FileTree.Node node;
    private final long opened = epoch;
    private boolean closed;

    private Writing(String client, String path, boolean conditional, FileTree.Node node) {
      this.client = client;
      this.path = path;
      this.conditional = conditional;
      this.node = node;
    }

    void write(byte[] bytes, int offset, int length) throws IOException {
      perform(
          client,
          Operation.WRITE,
          path,
          opened,
          () -> {
            requireSpace(length);
            node.append(bytes, offset, length);
            return null;
          });
    }

    void flush(boolean sync) throws IOException {
      perform(
          client,
          sync ? Operation.SYNC : Operation.FLUSH,
          path,
          opened,
          () -> {
            if (!rule.appearsAtClose()) {
              publish();
              node.synced = sync ? node.length : node.synced;
            }
            return null;
          });
    }

    void close() throws IOException {
      if (closed) {
        return;
      }
      closed = true;
      perform(
          client,
          Operation.CLOSE,
          path,
          opened,
          () -> {
            if (rule.appearsAtClose()) {
              upload();
            } else {
              publish();
            }
            return null;
          });
    }

    /**
     * Closes without making the file, as S3A's streams can.
     *
     * @return whether it was closed before
     */
    boolean abort() {
      boolean before = closed;
      closed = true;
      return before;
    }

    boolean appearsAtClose() {
      return rule.appearsAtClose();
    }

    boolean conditional() {
      return conditional;
    }

    private void publish() throws IOException {
      if (!node.linked) {
        throw new FileNotFoundException(path + " was removed or replaced while it was written");
      }
      node.visible = node.length;
      node.modified = System.currentTimeMillis();
    }

    private void upload() throws IOException {
      FileTree.Node there = tree.get(path);
      if (conditional && there != null) {
        throw new PathIOException(path, "status 412: there is an object of that key");
      }
      if (there != null && there.folder) {
        throw new FileAlreadyExistsException(path + " is a folder");
      }
      requireSpace(node.length);
      tree.makeFolders(FileTree.parent(path));
      node.visible = node.length;
      node.synced = node.length;
      node.modified = System.currentTimeMillis();
      tree.link(path, node);
    }
  }

  /** Bytes of a file as they were when it was opened. */
  final class Reading {
    private final String client;
    private final String path;
    private final byte[] bytes;
    private final long opened = epoch;

    private Reading(String client, String path, byte[] bytes) {
      this.client = client;
      this.path = path;
      this.bytes = bytes;
    }

    int length() {
      return bytes.length;
    }

    /** Copies bytes from a position on; less than asked for at the end, -1 behind it. */
    int read(int position, byte[] target, int offset, int length) throws IOException {
      return perform(
          client, Operation.READ, path, opened, () -> copy(position, target, offset, length));
    }

    /** The same of bytes that the client has read. */
    int copy(int position, byte[] target, int offset, int length) {
      int count = Math.min(length, bytes.length - position);
      if (count <= 0) {
        return length == 0 ? 0 : -1;
      }
      System.arraycopy(bytes, position, target, offset, count);
      return count;
    }
  }

  Writing create(String client, String path, boolean overwrite, boolean conditional)
      throws IOException {
    return perform(
        client,
        Operation.CREATE,
        path,
        epoch(),
        () -> {
          FileTree.Node there = tree.get(path);
          if (there != null && !conditional && (there.folder || !overwrite)) {
            throw new FileAlreadyExistsException(path + " is there already");
          }
          FileTree.Node node = new FileTree.Node(false, client, System.currentTimeMillis());
          if (!rule.appearsAtClose()) {
            tree.makeFolders(FileTree.parent(path));
            tree.link(path, node);
          }
          return new Writing(client, path, conditional, node);
        });
  }

  Reading open(String client, String path) throws IOException {
    return perform(
        client,
        Operation.OPEN,
        path,
        epoch(),
        () -> {
          FileTree.Node node = tree.require(path);
          if (node.folder) {
            throw new FileNotFoundException(path + " is a folder");
          }
          return new Reading(client, path, node.content());
        });
  }

  FileTree.Entry status(String client, String path) throws IOException {
    return perform(
        client, Operation.STATUS, path, epoch(), () -> FileTree.entry(path, tree.require(path)));
  }

  List<FileTree.Entry> list(String client, String path) throws IOException {
    return perform(
        client,
        Operation.LIST,
        path,
        epoch(),
        () -> {
          FileTree.Node node = tree.require(path);
          if (!node.folder) {
            return List.of(FileTree.entry(path, node));
          }
          int prefix = FileTree.prefix(path).length();
          List<FileTree.Entry> children = new ArrayList<>();
          tree.below(path)
              .forEach(
                  (child, value) -> {
                    if (child.indexOf('/', prefix) < 0) {
                      children.add(FileTree.entry(child, value));
                    }
                  });
          return children;
        });
  }

  void makeFolder(String client, String path) throws IOException {
    perform(
        client,
        Operation.MAKE_FOLDER,
        path,
        epoch(),
        () -> {
          tree.makeFolders(path);
          return null;
        });
  }

  boolean delete(String client, String path, boolean recursive) throws IOException {
    return perform(client, Operation.DELETE, path, epoch(), () -> tree.delete(path, recursive));
  }

  /**
   * Renames as {@code FileSystem.rename} does.
   *
   * @return false where nothing was renamed
   */
  boolean rename(String client, String from, String to) throws IOException {
    if (rule.appearsAtClose()) {
      return renameByCopy(client, from, to);
    }
    return perform(
        client,
        Operation.RENAME,
        from,
        epoch(),
        () -> {
          String target = tree.target(from, to);
          if (target == null) {
            return false;
          }
          tree.move(from, target);
          return true;
        });
  }

  /** Renames as {@code FileContext.rename} does. */
  void rename(String client, String from, String to, boolean overwrite) throws IOException {
    if (rule.appearsAtClose()) {
      throw new UnsupportedOperationException("An object store has no rename that replaces");
    }
    perform(
        client,
        Operation.RENAME,
        from,
        epoch(),
        () -> {
          FileTree.Node node = tree.require(from);
          FileTree.Node there = tree.get(to);
          if (there != null && (!overwrite || there.folder != node.folder)) {
            throw new FileAlreadyExistsException(to + " is there already");
          }
          if (there != null && there.folder && !tree.below(to).isEmpty()) {
            throw new PathIsNotEmptyDirectoryException(to);
          }
          tree.require(FileTree.parent(to));
          tree.move(from, to);
          return null;
        });
  }

  private boolean renameByCopy(String client, String from, String to) throws IOException {
    long begun = epoch();
    Map<String, String> files = new TreeMap<>();
    boolean possible =
        perform(
            client,
            Operation.RENAME,
            from,
            begun,
            () -> {
              String target = tree.target(from, to);
              if (target == null) {
                return false;
              }
              files.put(from, target);
              tree.below(from)
                  .keySet()
                  .forEach(path -> files.put(path, target + path.substring(from.length())));
              return true;
            });
    if (!possible) {
      return false;
    }
    for (Map.Entry<String, String> file : files.entrySet()) {
      perform(
          client,
          Operation.COPY,
          file.getKey(),
          begun,
          () -> {
            FileTree.Node copy = tree.require(file.getKey()).copy();
            if (copy.folder) {
              tree.makeFolders(file.getValue());
            } else {
              requireSpace(copy.length);
              tree.makeFolders(FileTree.parent(file.getValue()));
              tree.link(file.getValue(), copy);
            }
            return null;
          });
    }
    for (String file : new TreeMap<>(files).descendingKeySet()) {
      delete(client, file, false);
    }
    return true;
  }

  private void requireSpace(long more) throws IOException {
    if (capacity < Long.MAX_VALUE && tree.used() + more > capacity) {
      throw new InjectedException("No space left on device");
    }
  }

  private synchronized long epoch() {
    return epoch;
  }

  /** Numbers an operation, lets it wait, fail or take effect, and notes it. */
  private <T> T perform(
      String client, Operation operation, String path, long opened, Effect<T> effect)
      throws IOException {
    awaitTurn(client, opened);
    long number;
    Fault fault;
    Duration request;
    Duration answer;
    synchronized (this) {
      number = ++count;
      long ofClient =
          !uncounted.isEmpty() && Thread.currentThread().getName().startsWith(uncounted)
              ? 0
              : counts.merge(client, 1L, Long::sum);
      fault = fault(number, client, ofClient, path);
      request = anyLatency();
      answer = anyLatency();
    }
    sleep(request);
    String where = operation + " " + number + " of " + client + ", " + path;
    if (fault != null && !fault.done()) {
      try {
        strike(fault, client, where);
      } catch (IOException | FSError e) {
        note(new OperationEvent(number, client, operation, path, false));
        throw e;
      }
      awaitTurn(client, opened);
    }
    T result = null;
    IOException failure = null;
    synchronized (this) {
      try {
        // A request that is on its way when its process dies arrives; not so when the power goes.
        if (opened != epoch) {
          throw new DeadProcessException("The process is dead: " + where);
        }
        tree.act(client);
        result = effect.apply();
      } catch (IOException e) {
        failure = e;
      } finally {
        tree.act(null);
        note(new OperationEvent(number, client, operation, path, failure == null));
      }
    }
    // Also where it failed by itself, as a question for a file that is not there.
    if (fault != null && fault.done()) {
      strike(fault, client, where);
    }
    sleep(answer);
    awaitTurn(client, opened);
    if (failure != null) {
      throw failure;
    }
    return result;
  }

  private synchronized void note(OperationEvent event) {
    events.add(event);
  }

  private Fault fault(long number, String client, long ofClient, String path) {
    Fault found = null;
    for (Fault fault : faults) {
      long at = ofClient;
      if (fault.client().isEmpty()) {
        at = number;
      } else if (!fault.client().equals(client)) {
        continue;
      } else if (!fault.under().isEmpty()) {
        at = ofClient > 0 && fault.counts(path) ? countsUnder.merge(fault, 1L, Long::sum) : 0;
      }
      found = found == null && fault.at() == at ? fault : found;
    }
    return found;
  }

  private void strike(Fault fault, String client, String where) throws IOException {
    synchronized (this) {
      struck = where;
    }
    switch (fault.kind()) {
      case CRASH -> {
        synchronized (this) {
          dead.add(fault.client().isEmpty() ? "" : client);
          notifyAll();
        }
        throw new DeadProcessException("The process died at " + where);
      }
      case IO_EXCEPTION -> throw new InjectedException("Injected at " + where);
      case FS_ERROR -> throw error(new InjectedException("Injected at " + where));
      case NO_SPACE -> {
        synchronized (this) {
          capacity = tree.used();
        }
      }
      case PAUSE -> {
        synchronized (this) {
          boolean released = fault.pause().isZero();
          paused.put(client, released ? Long.MAX_VALUE : clock.nanos() + fault.pause().toNanos());
          notifyAll();
        }
      }
    }
  }

  /** Hadoop's own file systems alone can make one. */
  private static FSError error(IOException cause) {
    try {
      Constructor<FSError> constructor = FSError.class.getDeclaredConstructor(Throwable.class);
      constructor.setAccessible(true);
      return constructor.newInstance(cause);
    } catch (ReflectiveOperationException e) {
      throw new IllegalStateException(e);
    }
  }

  /** Waits while the client stands; fails when it is dead. */
  private void awaitTurn(String client, long opened) throws IOException {
    long waitedSince = System.nanoTime();
    while (true) {
      Duration left;
      synchronized (this) {
        if (dead.contains("") || dead.contains(client) || opened != epoch) {
          throw new DeadProcessException("The process " + client + " is dead");
        }
        long until = paused.getOrDefault(client, 0L);
        if (until == 0) {
          return;
        }
        if (until == Long.MAX_VALUE) {
          if (waitedSince + LONGEST_PAUSE.toNanos() < System.nanoTime()) {
            throw new IllegalStateException("Nobody lets " + client + " go on");
          }
          try {
            wait(LONGEST_PAUSE.toMillis());
          } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
            throw new java.io.InterruptedIOException("Interrupted while the process stands");
          }
          continue;
        }
        left = Duration.ofNanos(until - clock.nanos());
        if (left.isNegative() || left.isZero()) {
          paused.remove(client);
          return;
        }
      }
      sleep(left);
    }
  }

  private Duration anyLatency() {
    return mostLatency == 0 ? Duration.ZERO : Duration.ofNanos(random.nextLong(mostLatency + 1));
  }

  private void sleep(Duration duration) {
    if (!duration.isZero()) {
      clock.sleep(duration);
    }
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException(e);
    }
  }
}
