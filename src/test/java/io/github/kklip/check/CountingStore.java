package io.github.kklip.check;

import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.CountDownLatch;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FSDataInputStream;
import org.apache.hadoop.fs.FSDataOutputStream;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.RawLocalFileSystem;
import org.apache.hadoop.fs.permission.FsAction;
import org.apache.hadoop.fs.permission.FsPermission;
import org.apache.hadoop.security.AccessControlException;

/**
 * The local disk as a file system of another machine that notes every request. Paths with {@code
 * silent} in them are not answered, those with {@code closed} may not be written to.
 */
public final class CountingStore extends RawLocalFileSystem {
  static final List<String> REQUESTS = Collections.synchronizedList(new ArrayList<>());

  static Configuration configuration() {
    Configuration configuration = new Configuration();
    configuration.set("fs.counted.impl", CountingStore.class.getName());
    return configuration;
  }

  static String url(Path path) {
    return "counted://" + path;
  }

  @Override
  public URI getUri() {
    return URI.create("counted:///");
  }

  @Override
  public String getScheme() {
    return "counted";
  }

  /** What a thread is asked for; what the local disk asks of itself meanwhile is no request. */
  private static final ThreadLocal<Boolean> BUSY = ThreadLocal.withInitial(() -> false);

  private interface Answer<T> {
    T give() throws IOException;
  }

  private static <T> T request(String what, org.apache.hadoop.fs.Path path, Answer<T> answer)
      throws IOException {
    if (BUSY.get()) {
      return answer.give();
    }
    BUSY.set(true);
    try {
      note(what, path);
      return answer.give();
    } finally {
      BUSY.set(false);
    }
  }

  private static void note(String request, org.apache.hadoop.fs.Path path) throws IOException {
    REQUESTS.add(request + " " + path.getName());
    if (path.toString().contains("silent")) {
      try {
        new CountDownLatch(1).await();
      } catch (InterruptedException e) {
        throw new IOException("interrupted", e);
      }
    }
  }

  @Override
  public FileStatus getFileStatus(org.apache.hadoop.fs.Path path) throws IOException {
    return request("status", path, () -> super.getFileStatus(path));
  }

  @Override
  public boolean exists(org.apache.hadoop.fs.Path path) throws IOException {
    return request("status", path, () -> super.exists(path));
  }

  @Override
  public FileStatus[] listStatus(org.apache.hadoop.fs.Path path) throws IOException {
    return request("list", path, () -> super.listStatus(path));
  }

  @Override
  public FSDataInputStream open(org.apache.hadoop.fs.Path path, int buffer) throws IOException {
    return request("open", path, () -> super.open(path, buffer));
  }

  @Override
  public void access(org.apache.hadoop.fs.Path path, FsAction mode) throws IOException {
    note("access", path);
    if (path.getName().contains("closed")) {
      throw new AccessControlException("closed");
    }
  }

  @Override
  public boolean mkdirs(org.apache.hadoop.fs.Path path) throws IOException {
    return request("WRITE", path, () -> super.mkdirs(path));
  }

  @Override
  public FSDataOutputStream create(
      org.apache.hadoop.fs.Path path,
      FsPermission permission,
      boolean overwrite,
      int buffer,
      short replication,
      long block,
      org.apache.hadoop.util.Progressable progress)
      throws IOException {
    return request(
        "WRITE",
        path,
        () -> super.create(path, permission, overwrite, buffer, replication, block, progress));
  }

  @Override
  public boolean delete(org.apache.hadoop.fs.Path path, boolean recursive) throws IOException {
    return request("WRITE", path, () -> super.delete(path, recursive));
  }

  @Override
  public boolean rename(org.apache.hadoop.fs.Path from, org.apache.hadoop.fs.Path to)
      throws IOException {
    return request("WRITE", from, () -> super.rename(from, to));
  }
}
