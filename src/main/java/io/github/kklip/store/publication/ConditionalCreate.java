package io.github.kklip.store.publication;

import static io.github.kklip.config.Message.message;

import java.io.ByteArrayInputStream;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.util.Arrays;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FSDataOutputStreamBuilder;
import org.apache.hadoop.fs.FileAlreadyExistsException;
import org.apache.hadoop.fs.FileContext;
import org.apache.hadoop.fs.FileSystem;
import org.apache.hadoop.fs.Options;
import org.apache.hadoop.fs.Path;
import org.apache.hadoop.fs.s3a.S3AFileSystem;
import org.apache.hadoop.fs.s3a.impl.PutObjectOptions;
import software.amazon.awssdk.core.exception.SdkException;
import software.amazon.awssdk.core.sync.RequestBody;
import software.amazon.awssdk.services.s3.model.PutObjectRequest;
import software.amazon.awssdk.services.s3.model.S3Exception;

/**
 * Creates a file whole, or not at all when there is one of that name: of any number of writers,
 * however long each of them pauses, one succeeds. Local disks link a finished file to the name,
 * HDFS and the like rename one without replacing, S3 takes {@code If-None-Match: *}.
 */
public final class ConditionalCreate {
  /** Hadoop 3.4.2's name of the path capability and of the option of {@code createFile}. */
  public static final String CAPABILITY = "fs.option.create.conditional.overwrite";

  /** File systems whose rename is one step that never replaces a file. */
  private static final Set<String> ATOMIC_RENAME =
      Set.of("hdfs", "webhdfs", "swebhdfs", "viewfs", "ofs", "o3fs", "abfs", "abfss");

  /**
   * {@code fs.SCHEME.kklip.atomic-rename} in Hadoop's configuration says it of a file system that
   * is not in the list.
   */
  private static final String ATOMIC_RENAME_KEY = ".kklip.atomic-rename";

  /** Precondition failed; conflict with a request at the same time. */
  private static final Set<Integer> REFUSALS = Set.of(412, 409);

  /** Whether stores keep conditions, and disks know links, by their address. */
  private static final Map<String, Boolean> KEEPS_CONDITIONS = new ConcurrentHashMap<>();

  private enum Way {
    LINK,
    OPTION,
    S3,
    CREATE,
    RENAME,
    NONE
  }

  private ConditionalCreate() {}

  /**
   * Whether the file system of a folder can do it. Elsewhere one writer at a time may work, which
   * its lease has to see to.
   */
  public static boolean isPossible(Configuration configuration, Path folder) throws IOException {
    return way(configuration, folder) != Way.NONE;
  }

  /**
   * Creates the file, and the folder that it goes to. Where {@link #isPossible} is false it looks
   * first and then creates.
   *
   * @return false when there is a file of that name
   * @throws IOException when it is not known whether the file was created
   */
  public static boolean create(Configuration configuration, Path target, byte[] bytes)
      throws IOException {
    FileSystem fileSystem = Storage.of(configuration, target);
    Path file = fileSystem.makeQualified(target);
    Way way = way(configuration, file.getParent());
    return switch (way) {
      case LINK -> link(configuration, file, bytes);
      case RENAME -> rename(configuration, file, bytes);
      case OPTION, CREATE, S3 -> create(way, fileSystem, file, bytes);
      case NONE -> {
        if (fileSystem.exists(file)) {
          yield false;
        }
        Publication.write(configuration, file, bytes);
        yield true;
      }
    };
  }

  private static Way way(Configuration configuration, Path folder) throws IOException {
    FileSystem fileSystem = Storage.of(configuration, folder);
    String scheme = Storage.scheme(configuration, folder);
    if (scheme.equals("file")) {
      return linksIn(java.nio.file.Path.of(folder.toUri().getPath())) ? Way.LINK : Way.NONE;
    }
    if (fileSystem.hasPathCapability(folder, CAPABILITY)) {
      return tried(fileSystem, folder, Way.OPTION);
    }
    if (isS3A(fileSystem)) {
      return tried(fileSystem, folder, Way.S3);
    }
    if (scheme.equals("gs")) {
      return tried(fileSystem, folder, Way.CREATE); // Google's connector asks for generation 0.
    }
    boolean renames =
        configuration.getBoolean(
            "fs." + scheme + ATOMIC_RENAME_KEY, ATOMIC_RENAME.contains(scheme));
    return renames ? Way.RENAME : Way.NONE;
  }

  /**
   * Some stores that speak S3 pass over a condition that they do not know: then the second of two
   * creates succeeds, and the way is none. Tried once for each store.
   */
  private static Way tried(FileSystem fileSystem, Path folder, Way way) throws IOException {
    String store = fileSystem.makeQualified(folder).toUri().resolve("/").toString();
    Boolean keeps = KEEPS_CONDITIONS.get(store);
    if (keeps == null) {
      Path file = new Path(folder, ".condition." + UUID.randomUUID() + Publication.SUFFIX);
      try {
        keeps =
            create(way, fileSystem, file, new byte[] {1})
                && !create(way, fileSystem, file, new byte[] {2});
      } finally {
        fileSystem.delete(file, false);
      }
      KEEPS_CONDITIONS.put(store, keeps);
    }
    return keeps ? way : Way.NONE;
  }

  /** Whether a local file system knows links: some network shares do not. Tried once for each. */
  private static boolean linksIn(java.nio.file.Path folder) throws IOException {
    java.nio.file.Path there = folder;
    while (!Files.isDirectory(there)) {
      there = there.getParent();
    }
    if (!Files.isWritable(there)) {
      return true; // Then nothing can be created anyway.
    }
    String disk = "file " + Files.getFileStore(there);
    Boolean known = KEEPS_CONDITIONS.get(disk);
    if (known == null) {
      known = triesALink(there);
      KEEPS_CONDITIONS.put(disk, known);
    }
    return known;
  }

  private static boolean triesALink(java.nio.file.Path there) throws IOException {
    java.nio.file.Path file = Files.createTempFile(there, ".link.", Publication.SUFFIX);
    java.nio.file.Path link = file.resolveSibling(file.getFileName() + "2" + Publication.SUFFIX);
    try {
      Files.createLink(link, file);
      Files.delete(link);
      return true;
    } catch (IOException | UnsupportedOperationException e) {
      return false;
    } finally {
      Files.delete(file);
    }
  }

  private static boolean link(Configuration configuration, Path file, byte[] bytes)
      throws IOException {
    try (Publication publication = written(configuration, file, bytes)) {
      Files.createLink(
          java.nio.file.Path.of(file.toUri().getPath()),
          java.nio.file.Path.of(publication.path().toUri().getPath()));
      Durability.syncFolder(configuration, file.getParent());
      return true;
    } catch (java.nio.file.FileAlreadyExistsException e) {
      return false;
    }
  }

  private static boolean rename(Configuration configuration, Path file, byte[] bytes)
      throws IOException {
    try (Publication publication = written(configuration, file, bytes)) {
      FileContext.getFileContext(file.toUri(), configuration)
          .rename(publication.path(), file, Options.Rename.NONE);
      return true;
    } catch (FileAlreadyExistsException e) {
      return false;
    }
  }

  private static Publication written(Configuration configuration, Path file, byte[] bytes)
      throws IOException {
    Publication publication = Publication.of(configuration, file);
    try (OutputStream out = publication.create()) {
      out.write(bytes);
    } catch (IOException | RuntimeException e) {
      publication.close();
      throw e;
    }
    return publication;
  }

  private static boolean create(Way way, FileSystem fileSystem, Path file, byte[] bytes)
      throws IOException {
    return switch (way) {
      case OPTION -> option(fileSystem, file, bytes);
      case S3 -> S3.put(fileSystem, file, bytes);
      default -> create(fileSystem, file, bytes);
    };
  }

  private static boolean option(FileSystem fileSystem, Path file, byte[] bytes) throws IOException {
    FSDataOutputStreamBuilder<?, ?> builder = fileSystem.createFile(file);
    builder.recursive().overwrite(true).must(CAPABILITY, true);
    try {
      Upload.write(new ByteArrayInputStream(bytes), (FSDataOutputStream) builder.build());
    } catch (FileAlreadyExistsException e) {
      return false;
    } catch (IOException e) {
      return refused(fileSystem, file, bytes, e);
    }
    return true;
  }

  private static boolean create(FileSystem fileSystem, Path file, byte[] bytes) throws IOException {
    try {
      Upload.write(new ByteArrayInputStream(bytes), fileSystem.create(file, false));
    } catch (FileAlreadyExistsException e) {
      return false;
    } catch (IOException e) {
      return refused(fileSystem, file, bytes, e);
    }
    return true;
  }

  /** Stores say in many ways that a file was there; the file says who was first. */
  private static boolean refused(
      FileSystem fileSystem, Path file, byte[] bytes, IOException failure) throws IOException {
    try (var in = fileSystem.open(file)) {
      byte[] there = in.readNBytes(bytes.length + 1);
      if (!Arrays.equals(there, bytes)) {
        return false;
      }
    } catch (FileNotFoundException e) {
      failure.addSuppressed(e);
    }
    throw failure;
  }

  private static boolean isS3A(FileSystem fileSystem) {
    if (!fileSystem.getClass().getName().equals("org.apache.hadoop.fs.s3a.S3AFileSystem")) {
      return false;
    }
    try {
      Class.forName(
          "org.apache.hadoop.fs.s3a.S3AInternals", false, fileSystem.getClass().getClassLoader());
      return true;
    } catch (ClassNotFoundException e) {
      return false; // Before Hadoop 3.4.
    }
  }

  /** Hadoop's S3A before 3.4.2 creates without condition: the client below it can. */
  private static final class S3 {
    private S3() {}

    static boolean put(FileSystem fileSystem, Path file, byte[] bytes) throws IOException {
      S3AFileSystem s3a = (S3AFileSystem) fileSystem;
      PutObjectRequest request =
          s3a.getRequestFactory()
              .newPutObjectRequestBuilder(
                  s3a.pathToKey(file), PutObjectOptions.keepingDirs(), bytes.length, false)
              .ifNoneMatch("*")
              .build();
      try {
        s3a.getS3AInternals()
            .getAmazonS3Client("create a file that is not there")
            .putObject(request, RequestBody.fromBytes(bytes));
        return true;
      } catch (SdkException e) {
        IOException failure =
            new IOException(
                message("Cannot create %s because S3 answered: %s", file, e.getMessage()), e);
        if (e instanceof S3Exception s3 && REFUSALS.contains(s3.statusCode())) {
          return refused(fileSystem, file, bytes, failure);
        }
        throw failure;
      }
    }
  }
}
