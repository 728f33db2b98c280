package io.github.kklip.faults;

import java.io.ByteArrayOutputStream;
import java.io.EOFException;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.net.URI;
import java.util.List;
import java.util.Set;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Abortable;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FSError;
import org.apache.hadoop.fs.FSInputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.StreamCapabilities;
import org.apache.hadoop.fs.Syncable;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.util.Progressable;

/** Shows a {@link FaultStore} to one client, as Hadoop's file system {@code fault://STORE/path}. */
public final class FaultFileSystem extends FileSystem {
  private static final long BLOCK = 32 << 20;

  private URI uri;
  private String client;
  private FaultStore store;
  private Path workingDirectory;

  @Override
  public void initialize(URI name, Configuration configuration) throws IOException {
    super.initialize(name, configuration);
    setConf(configuration);
    uri = URI.create(name.getScheme() + "://" + name.getAuthority());
    client = configuration.get(FaultStore.CLIENT, "unnamed");
    store = FaultStore.named(name.getAuthority());
    workingDirectory = new Path(uri + "/");
  }

  @Override
  public String getScheme() {
    return uri.getScheme();
  }

  @Override
  public URI getUri() {
    return uri;
  }

  @Override
  public FSDataInputStream open(Path path, int bufferSize) throws IOException {
    return new FSDataInputStream(new Input(store.open(client, inside(path)), store.buffer()));
  }

  @Override
  public FSDataOutputStream create(
      Path path,
      FsPermission permission,
      boolean overwrite,
      int bufferSize,
      short replication,
      long blockSize,
      Progressable progress)
      throws IOException {
    return create(path, overwrite, false);
  }

  private FSDataOutputStream create(Path path, boolean overwrite, boolean conditional)
      throws IOException {
    return new FSDataOutputStream(
        new Output(store.create(client, inside(path), overwrite, conditional), store.buffer()),
        statistics);
  }

  @Override
  public FSDataOutputStreamBuilder<?, ?> createFile(Path path) {
    return new Builder(this, path);
  }

  @Override
  public FSDataOutputStream append(Path path, int bufferSize, Progressable progress) {
    throw new UnsupportedOperationException("append");
  }

  @Override
  public boolean rename(Path from, Path to) throws IOException {
    return store.rename(client, inside(from), inside(to));
  }

  @Override
  @SuppressWarnings("deprecation") // The only rename that FileContext can ask for.
  protected void rename(Path from, Path to, Options.Rename... options) throws IOException {
    boolean overwrite = List.of(options).contains(Options.Rename.OVERWRITE);
    store.rename(client, inside(from), inside(to), overwrite);
  }

  void replace(Path from, Path to) throws IOException {
    rename(from, to, Options.Rename.OVERWRITE);
  }

  @Override
  public boolean delete(Path path, boolean recursive) throws IOException {
    return store.delete(client, inside(path), recursive);
  }

  @Override
  public FileStatus[] listStatus(Path path) throws IOException {
    return store.list(client, inside(path)).stream().map(this::status).toArray(FileStatus[]::new);
  }

  @Override
  public FileStatus getFileStatus(Path path) throws IOException {
    return status(store.status(client, inside(path)));
  }

  @Override
  public boolean mkdirs(Path path, FsPermission permission) throws IOException {
    store.makeFolder(client, inside(path));
    return true;
  }

  @Override
  public void setWorkingDirectory(Path path) {
    workingDirectory = makeQualified(path);
  }

  @Override
  public Path getWorkingDirectory() {
    return workingDirectory;
  }

  @Override
  public boolean hasPathCapability(Path path, String capability) throws IOException {
    if (capability.equals(FaultStore.CONDITIONAL)) {
      return store.rule() == FaultStore.Rule.S3_CONDITIONAL;
    }
    return super.hasPathCapability(path, capability);
  }

  private FileStatus status(FileTree.Entry entry) {
    return new FileStatus(
        entry.length(), entry.folder(), 1, BLOCK, entry.modified(), new Path(uri + entry.path()));
  }

  private String inside(Path path) {
    checkPath(path);
    return makeQualified(path).toUri().getPath();
  }

  private static final class Builder
      extends FSDataOutputStreamBuilder<FSDataOutputStream, Builder> {
    private final FaultFileSystem fileSystem;

    private Builder(FaultFileSystem fileSystem, Path path) {
      super(fileSystem, path);
      this.fileSystem = fileSystem;
      create().overwrite(true);
    }

    @Override
    public Builder getThisBuilder() {
      return this;
    }

    @Override
    public FSDataOutputStream build() throws IOException {
      boolean known = fileSystem.store.rule() == FaultStore.Rule.S3_CONDITIONAL;
      rejectUnknownMandatoryKeys(
          known ? Set.of(FaultStore.CONDITIONAL) : Set.of(), "for " + getPath());
      boolean conditional = known && getOptions().getBoolean(FaultStore.CONDITIONAL, false);
      boolean overwrite = getFlags().contains(org.apache.hadoop.fs.CreateFlag.OVERWRITE);
      if (!overwrite && !conditional && !isRecursive()) {
        Path parent = getPath().getParent();
        if (!fileSystem.exists(parent)) {
          throw new FileNotFoundException("There is no " + parent);
        }
      }
      return fileSystem.create(getPath(), overwrite, conditional);
    }
  }

  private static final class Output extends OutputStream
      implements Syncable, StreamCapabilities, Abortable {
    private final FaultStore.Writing writing;
    private final int buffer;
    private final ByteArrayOutputStream held = new ByteArrayOutputStream();

    private Output(FaultStore.Writing writing, int buffer) {
      this.writing = writing;
      this.buffer = buffer;
    }

    @Override
    public void write(int b) throws IOException {
      write(new byte[] {(byte) b}, 0, 1);
    }

    @Override
    public void write(byte[] bytes, int offset, int length) throws IOException {
      held.write(bytes, offset, length);
      if (held.size() >= buffer) {
        drain();
      }
    }

    private void drain() throws IOException {
      if (held.size() > 0) {
        byte[] bytes = held.toByteArray();
        held.reset();
        writing.write(bytes, 0, bytes.length);
      }
    }

    /** Of a buffer of the client, which this one does not have: others see no more by it. */
    @Override
    public void flush() {}

    @Override
    public void hflush() throws IOException {
      drain();
      writing.flush(false);
    }

    @Override
    public void hsync() throws IOException {
      drain();
      writing.flush(true);
    }

    @Override
    public boolean hasCapability(String capability) {
      return switch (capability) {
        case StreamCapabilities.ABORTABLE_STREAM -> writing.appearsAtClose();
        case "hflush", StreamCapabilities.HSYNC -> !writing.appearsAtClose();
        case FaultStore.CONDITIONAL -> writing.conditional();
        default -> false;
      };
    }

    @Override
    public AbortableResult abort() {
      boolean before = writing.abort();
      return new AbortableResult() {
        @Override
        public boolean alreadyClosed() {
          return before;
        }

        @Override
        public IOException anyCleanupException() {
          return null;
        }
      };
    }

    @Override
    public void close() throws IOException {
      try {
        drain();
      } catch (IOException | FSError e) {
        writing.abort();
        throw e;
      }
      writing.close();
    }
  }

  private static final class Input extends FSInputStream {
    private final FaultStore.Reading reading;
    private final int buffer;
    private int position;

    /** Where the piece begins that was read last. */
    private int piece = -1;

    private Input(FaultStore.Reading reading, int buffer) {
      this.reading = reading;
      this.buffer = buffer;
    }

    @Override
    public int read() throws IOException {
      byte[] one = new byte[1];
      return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
    }

    @Override
    public int read(byte[] bytes, int offset, int length) throws IOException {
      boolean isHere = buffer > 0 && piece >= 0 && position / buffer == piece / buffer;
      int inPiece = buffer > 0 ? Math.min(length, buffer - position % buffer) : length;
      int count =
          isHere
              ? reading.copy(position, bytes, offset, inPiece)
              : reading.read(position, bytes, offset, inPiece);
      piece = position;
      position += Math.max(0, count);
      return count;
    }

    @Override
    public int available() {
      return reading.length() - position;
    }

    @Override
    public void seek(long target) throws IOException {
      if (target < 0 || target > reading.length()) {
        throw new EOFException("Cannot seek to " + target + " of " + reading.length());
      }
      position = Math.toIntExact(target);
    }

    @Override
    public long getPos() {
      return position;
    }

    @Override
    public boolean seekToNewSource(long target) {
      return false;
    }
  }
}
