package io.github.kklip.store.publication;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.ObjectOutputStream;
import java.io.Serializable;
import java.io.UncheckedIOException;
import org.apache.hadoop.conf.Configuration;

/**
 * A Hadoop configuration that travels to executors inside a function. It is made into bytes once
 * and read only where it is used: tasks of a few milliseconds have one in their lineage.
 */
public final class PortableConfiguration implements Serializable {
  private static final long serialVersionUID = 1L;

  private transient Configuration configuration;
  private byte[] bytes;

  public PortableConfiguration(Configuration configuration) {
    this.configuration = configuration;
  }

  public synchronized Configuration get() {
    if (configuration == null) {
      Configuration read = new Configuration(false);
      try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(bytes))) {
        read.readFields(in);
      } catch (IOException e) {
        throw new UncheckedIOException("Cannot read the configuration of the file systems", e);
      }
      configuration = read;
    }
    return configuration;
  }

  private synchronized void writeObject(ObjectOutputStream out) throws IOException {
    if (bytes == null) {
      ByteArrayOutputStream written = new ByteArrayOutputStream();
      configuration.write(new DataOutputStream(written));
      bytes = written.toByteArray();
    }
    out.defaultWriteObject();
  }
}
