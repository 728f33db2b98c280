package io.github.kklip.store;

import java.io.File;
import java.io.IOException;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileSystem;
import org.gaul.s3proxy.AuthenticationType;
import org.gaul.s3proxy.S3Proxy;
import org.gaul.s3proxy.blobstore.options.CreateContainerOptions;
import org.gaul.s3proxy.nio2blob.FilesystemNio2BlobStore;

/**
 * An S3 server on this machine, with one bucket whose objects are files of a folder. It is a
 * process of its own, as it needs other versions of some libraries than Spark.
 */
public final class S3Server implements AutoCloseable {
  public static final String BUCKET = "kklip-test";
  public static final String ACCESS_KEY = "AKIAKKLIPTESTACCESS1";
  public static final String SECRET_KEY = "kKlIpTeStSeCrEtKeY0123456789abcdefghij42";

  private final Process server;
  private final String endpoint;
  private final Path folder;

  /**
   * @param folder for the objects
   */
  public S3Server(Path folder) throws IOException {
    this.folder = Files.createDirectories(folder);
    server =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-Xmx256m",
                "-cp",
                // The newer versions come first.
                Path.of("target", "s3-server").toAbsolutePath()
                    + File.separator
                    + "*"
                    + File.pathSeparator
                    + System.getProperty("java.class.path"),
                S3Server.class.getName(),
                folder.toString())
            .redirectError(folder.resolveSibling("s3-server.log").toFile())
            .start();
    endpoint = server.inputReader(StandardCharsets.UTF_8).readLine();
    if (endpoint == null) {
      throw new IOException(
          "Cannot start the S3 server: "
              + Files.readString(folder.resolveSibling("s3-server.log")));
    }
  }

  /** The server; ends with its parent. */
  public static void main(String[] arguments) throws Exception {
    FilesystemNio2BlobStore objects = new FilesystemNio2BlobStore(arguments[0]);
    objects.createContainer(BUCKET, CreateContainerOptions.NONE);
    S3Proxy server =
        S3Proxy.builder()
            .blobStore(objects)
            .endpoint(URI.create("http://127.0.0.1:0"))
            .awsAuthentication(AuthenticationType.AWS_V2_OR_V4, ACCESS_KEY, SECRET_KEY)
            .ignoreUnknownHeaders(true)
            .build();
    server.start();
    System.out.println("http://127.0.0.1:" + server.getPort());
    System.out.flush();
    while (System.in.read() >= 0) {
      // Until the parent closes the pipe.
    }
    Runtime.getRuntime().halt(0);
  }

  /** What S3A has to know. */
  public Map<String, String> settings() {
    return new TreeMap<>(
        Map.of(
            "fs.s3a.endpoint", endpoint,
            "fs.s3a.endpoint.region", "us-east-1",
            "fs.s3a.path.style.access", "true",
            "fs.s3a.connection.ssl.enabled", "false",
            "fs.s3a.access.key", ACCESS_KEY,
            "fs.s3a.secret.key", SECRET_KEY,
            "fs.s3a.attempts.maximum", "3",
            "fs.s3a.retry.limit", "3"));
  }

  public Configuration configuration() {
    Configuration configuration = new Configuration();
    settings().forEach(configuration::set);
    return configuration;
  }

  public String url(String key) {
    return "s3a://" + BUCKET + "/" + key;
  }

  /** The file of an object. */
  public Path file(String key) {
    return folder.resolve(BUCKET).resolve(key);
  }

  /** The keys of all objects. */
  public List<String> keys() throws IOException {
    Path bucket = folder.resolve(BUCKET);
    try (Stream<Path> files = Files.walk(bucket)) {
      return files
          .filter(Files::isRegularFile)
          .map(file -> bucket.relativize(file).toString())
          .sorted()
          .toList();
    }
  }

  /** Ends the server, and the connector that this process keeps for its bucket. */
  @Override
  public void close() throws IOException {
    FileSystem.get(URI.create(url("")), configuration()).close();
    server.destroyForcibly().onExit().orTimeout(20, TimeUnit.SECONDS).join();
  }
}
