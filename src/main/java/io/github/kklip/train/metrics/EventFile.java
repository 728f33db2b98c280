package io.github.kklip.train.metrics;

import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import java.util.zip.CRC32C;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Scalars for TensorBoard: {@code tensorboard/events.out.tfevents.*} in the run's folder, one file
 * for each attempt. Object stores cannot append, so the bytes are held and published whole.
 *
 * <p>A record is a length (8 bytes, little endian), the masked CRC-32C of the length, an Event
 * message in protocol buffers' wire format, and its masked CRC-32C. Fields used of Event: wall_time
 * = 1, step = 2, file_version = 3, summary = 5, session_log = 7; of Summary: value = 1, of its
 * Value: tag = 1, simple_value = 2; of SessionLog: status = 1.
 */
final class EventFile {
  static final String FOLDER = "tensorboard";
  private static final int VARINT = 0;
  private static final int FIXED64 = 1;
  private static final int BYTES = 2;
  private static final int FIXED32 = 5;
  private static final int START = 1;

  private final Configuration configuration;
  private final Path path;
  private final ByteArrayOutputStream records = new ByteArrayOutputStream();

  /**
   * Begins the file of an attempt.
   *
   * @param milliseconds now
   * @param firstStep TensorBoard forgets what earlier attempts told of later steps
   */
  EventFile(String output, Configuration configuration, long milliseconds, long firstStep)
      throws IOException {
    this.configuration = configuration;
    Path folder = new Path(Storage.path(output, configuration), FOLDER);
    path = new Path(folder, String.format("events.out.tfevents.%013d.kklip", milliseconds));
    double seconds = milliseconds / 1e3;
    record(event(seconds, 0, 3, "brain.Event:2".getBytes(StandardCharsets.UTF_8)));
    EventMessage start = new EventMessage();
    start.number(1, START);
    record(event(seconds, firstStep, 7, start.bytes()));
  }

  /** Adds the scalars of a step. */
  void add(double seconds, long step, Map<String, Double> scalars) {
    EventMessage summary = new EventMessage();
    scalars.forEach(
        (tag, scalar) -> {
          EventMessage value = new EventMessage();
          value.bytes(1, tag.getBytes(StandardCharsets.UTF_8));
          value.real(2, scalar.floatValue());
          summary.bytes(1, value.bytes());
        });
    record(event(seconds, step, 5, summary.bytes()));
  }

  private static byte[] event(double seconds, long step, int field, byte[] content) {
    EventMessage event = new EventMessage();
    event.real(1, seconds);
    event.number(2, step);
    event.bytes(field, content);
    return event.bytes();
  }

  private void record(byte[] data) {
    byte[] length = little(Long.BYTES).putLong(data.length).array();
    records.writeBytes(length);
    records.writeBytes(little(Integer.BYTES).putInt(masked(length)).array());
    records.writeBytes(data);
    records.writeBytes(little(Integer.BYTES).putInt(masked(data)).array());
  }

  /** A CRC of data that holds CRCs is weak: so it is turned and moved. */
  static int masked(byte[] data) {
    CRC32C crc = new CRC32C();
    crc.update(data, 0, data.length);
    return Integer.rotateRight((int) crc.getValue(), 15) + 0xa282ead8;
  }

  /** All records so far. */
  byte[] bytes() {
    return records.toByteArray();
  }

  /** Writes what {@link #bytes} gave; not in the thread that adds, for it may take a while. */
  void publish(byte[] bytes) throws IOException {
    Publication.write(configuration, path, bytes);
  }

  private static ByteBuffer little(int bytes) {
    return ByteBuffer.allocate(bytes).order(ByteOrder.LITTLE_ENDIAN);
  }

  /** A message of protocol buffers being written. */
  private static final class EventMessage {
    private final ByteArrayOutputStream out = new ByteArrayOutputStream();

    private void key(int field, int type) {
      varint(((long) field << 3) | type);
    }

    private void varint(long value) {
      long rest = value;
      while ((rest & ~0x7fL) != 0) {
        out.write((int) ((rest & 0x7f) | 0x80));
        rest >>>= 7;
      }
      out.write((int) rest);
    }

    void number(int field, long value) {
      key(field, VARINT);
      varint(value);
    }

    void real(int field, double value) {
      key(field, FIXED64);
      out.writeBytes(little(Double.BYTES).putDouble(value).array());
    }

    void real(int field, float value) {
      key(field, FIXED32);
      out.writeBytes(little(Float.BYTES).putFloat(value).array());
    }

    void bytes(int field, byte[] value) {
      key(field, BYTES);
      varint(value.length);
      out.writeBytes(value);
    }

    byte[] bytes() {
      return out.toByteArray();
    }
  }
}
