package io.github.kklip.train.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class EventFileTest {
  @TempDir private Path output;

  /** Known answer: the CRC-32C of 32 zero bytes is 8a9136aa (RFC 3720, B.4). */
  @Test
  void checksumsAreMasked() {
    assertThat(EventFile.masked(new byte[32]))
        .isEqualTo(Integer.rotateRight(0x8a9136aa, 15) + 0xa282ead8);
  }

  @Test
  void whatIsWrittenIsReadBack() throws Exception {
    EventFile file =
        new EventFile(output.toString(), new Configuration(false), 1_700_000_000_123L, 7);
    file.add(1_700_000_001.5, 300, new TreeMap<>(Map.of("loss", 2.5, "loss/emb", Double.NaN)));
    file.publish(file.bytes());
    Path path = output.resolve("tensorboard").resolve("events.out.tfevents.1700000000123.kklip");
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(path)).order(ByteOrder.LITTLE_ENDIAN);
    List<Map<Integer, Object>> events = new ArrayList<>();
    while (bytes.hasRemaining()) {
      byte[] length = new byte[8];
      bytes.get(length);
      assertThat(bytes.getInt()).isEqualTo(EventFile.masked(length));
      byte[] data =
          new byte
              [Math.toIntExact(ByteBuffer.wrap(length).order(ByteOrder.LITTLE_ENDIAN).getLong())];
      bytes.get(data);
      assertThat(bytes.getInt()).isEqualTo(EventFile.masked(data));
      events.add(message(ByteBuffer.wrap(data)));
    }
    assertThat(events).hasSize(3);
    assertThat(events.get(0)).containsEntry(1, 1_700_000_000.123).containsEntry(2, 0L);
    assertThat(text(events.get(0).get(3))).isEqualTo("brain.Event:2");
    assertThat(events.get(1)).containsEntry(2, 7L);
    assertThat(inner(events.get(1).get(7))).containsEntry(1, 1L);
    assertThat(events.get(2)).containsEntry(1, 1_700_000_001.5).containsEntry(2, 300L);
    // A repeated field keeps its last value here: the part after the sum.
    Map<Integer, Object> value = inner(inner(events.get(2).get(5)).get(1));
    assertThat(text(value.get(1))).isEqualTo("loss/emb");
    assertThat(value).containsEntry(2, Float.NaN);
  }

  /** With the variable KKLIP_PEER_PYTHON naming a Python that has TensorBoard. */
  @Test
  void tensorBoardReadsTheAttemptsOfARun() throws Exception {
    String python = System.getenv("KKLIP_PEER_PYTHON");
    Assumptions.assumeTrue(python != null, "KKLIP_PEER_PYTHON is not set.");
    attempt(1_700_000_000_000L, 0, 10, 20, 30);
    // Goes on from a checkpoint at step 20: what the first told of step 30 is forgotten.
    attempt(1_700_000_100_000L, 21, 30, 40);
    Path out = output.resolve("scalars.json");
    Process process =
        new ProcessBuilder(
                python,
                "src/test/python/event_file.py",
                output.resolve(EventFile.FOLDER).toString())
            .redirectOutput(out.toFile())
            .redirectError(ProcessBuilder.Redirect.INHERIT)
            .start();
    assertThat(process.waitFor(2, TimeUnit.MINUTES)).isTrue();
    Assumptions.assumeTrue(process.exitValue() != 3, python + " has no TensorBoard.");
    assertThat(process.exitValue()).isZero();
    JsonNode scalars = new ObjectMapper().readTree(out.toFile());
    assertThat(scalars.get("loss").toString())
        .isEqualTo("[[10,10.5],[20,20.5],[30,130.5],[40,140.5]]");
    assertThat(scalars.get("loss/emb").toString())
        .isEqualTo("[[10,-10.0],[20,-20.0],[30,-130.0],[40,-140.0]]");
  }

  private void attempt(long begun, long firstStep, int... steps) throws Exception {
    EventFile file = new EventFile(output.toString(), new Configuration(false), begun, firstStep);
    int offset = firstStep == 0 ? 0 : 100;
    for (int step : steps) {
      file.add(
          begun * 1e-3 + step,
          step,
          new TreeMap<>(Map.of("loss", offset + step + 0.5, "loss/emb", -1.0 * (offset + step))));
    }
    file.publish(file.bytes());
  }

  private static String text(Object bytes) {
    return new String((byte[]) bytes, StandardCharsets.UTF_8);
  }

  private static Map<Integer, Object> inner(Object bytes) {
    return message(ByteBuffer.wrap((byte[]) bytes));
  }

  /** A message of protocol buffers, by field number. */
  private static Map<Integer, Object> message(ByteBuffer data) {
    data.order(ByteOrder.LITTLE_ENDIAN);
    Map<Integer, Object> fields = new TreeMap<>();
    while (data.hasRemaining()) {
      long key = varint(data);
      Object value =
          switch ((int) (key & 7)) {
            case 0 -> varint(data);
            case 1 -> data.getDouble();
            case 2 -> {
              byte[] bytes = new byte[(int) varint(data)];
              data.get(bytes);
              yield bytes;
            }
            case 5 -> data.getFloat();
            default -> throw new AssertionError("Field of type " + (key & 7));
          };
      fields.put((int) (key >> 3), value);
    }
    return fields;
  }

  private static long varint(ByteBuffer data) {
    long value = 0;
    for (int shift = 0; ; shift += 7) {
      byte b = data.get();
      value |= (long) (b & 0x7f) << shift;
      if (b >= 0) {
        return value;
      }
    }
  }
}
