package io.github.kklip.safetensors;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.tensor.Torch;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.RandomAccessFile;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.assertj.core.api.ThrowableAssert.ThrowingCallable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsTest {
  @TempDir Path folder;

  @Test
  void bytesAreThoseOfTheFormat() throws IOException {
    byte[] file =
        bytes(
            new SafetensorsWriter()
                .add("b", new float[] {1, -2}, 2)
                .add("n", new long[] {7}, 1)
                .metadata("format", "pt"));
    String header =
        "{\"__metadata__\":{\"format\":\"pt\"},"
            + "\"n\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]},"
            + "\"b\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[8,16]}}";
    int padded = (header.length() + 7) / 8 * 8;
    ByteBuffer expected = ByteBuffer.allocate(8 + padded + 16).order(ByteOrder.LITTLE_ENDIAN);
    expected.putLong(padded).put(header.getBytes(StandardCharsets.US_ASCII));
    while (expected.position() < 8 + padded) {
      expected.put((byte) ' ');
    }
    expected.putLong(7).putFloat(1).putFloat(-2);
    assertThat(file).isEqualTo(expected.array());
  }

  @Test
  void orderOfAddingDoesNotMatter() throws IOException {
    SafetensorsWriter one = new SafetensorsWriter();
    one.add("x", new float[] {1}, 1).add("y", new double[] {2}, 1).add("a", new float[] {3}, 1);
    SafetensorsWriter other = new SafetensorsWriter();
    other.add("a", new float[] {3}, 1).add("x", new float[] {1}, 1).add("y", new double[] {2}, 1);
    assertThat(bytes(one)).isEqualTo(bytes(other));
  }

  @Test
  void readsBackWhatWasWritten() throws IOException {
    Path file =
        write(
            "m.safetensors",
            new SafetensorsWriter()
                .add("zähler \"1\"", new float[] {1, 2, 3, 4, 5, 6}, 2, 3)
                .add("scalar", new double[] {0.5})
                .add("empty", new float[0], 0, 4)
                .metadata("seed", "3"));
    Safetensors tensors = Safetensors.open(file);
    assertThat(tensors.names()).containsExactlyInAnyOrder("zähler \"1\"", "scalar", "empty");
    assertThat(tensors.metadata()).containsEntry("seed", "3");
    assertThat(tensors.size()).isEqualTo(32);
    assertThat(tensors.entry("zähler \"1\"").shape()).containsExactly(2L, 3L);
    assertThat(tensors.bytes("zähler \"1\"").asFloatBuffer().get(5)).isEqualTo(6);
    assertThat(tensors.bytes("scalar").getDouble()).isEqualTo(0.5);
    assertThat(tensors.bytes("empty").remaining()).isZero();
  }

  @Test
  void refusesATensorThatDoesNotFillItsShape() {
    assertThatThrownBy(() -> new SafetensorsWriter().add("w", new float[3], 2, 2))
        .hasMessage(
            "Cannot store tensor 'w' because type FLOAT32 and shape [2, 2] take 16 bytes and there are"
                + " 12.");
    assertThatThrownBy(
            () -> new SafetensorsWriter().add("w", new float[1], 1).add("w", new float[1], 1))
        .hasMessage("Cannot store tensor 'w' because the name is taken.");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "[] | 0 | lacks an object",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]} | 8 | not valid JSON",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} x | 8 | not valid JSON",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} | 8 | Duplicate field 'a'",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} | 7 | tensor 'a' lies at bytes 0 to 8 of the data, which has 7",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]}} | 9 | something follows them",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[4,12]}} | 12 | tensor 'a' begins at byte 4 of the data, and the one before it ends at 0",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8]},'b':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}} | 8 | tensor 'b' begins at byte 4 of the data, and the one before it ends at 8",
        "{'a':{'dtype':'F32','shape':[3],'data_offsets':[0,8]}} | 8 | type FLOAT32 and shape [3] takes 12 bytes, and its data_offsets span 8",
        "{'a':{'dtype':'F32','shape':[-2],'data_offsets':[0,8]}} | 8 | 'shape' of tensor 'a' has a number below 0",
        "{'a':{'dtype':'F32','shape':[4611686018427387904,4],'data_offsets':[0,0]}} | 0 | is too large",
        "{'a':{'dtype':'F32','shape':[99999999999999999999],'data_offsets':[0,0]}} | 0 | not valid JSON",
        "{'a':{'dtype':'F4','shape':[2],'data_offsets':[0,8]}} | 8 | tensor 'a' has type F4, which is not read by this program",
        "{'a':{'dtype':'F32','shape':[2]}} | 8 | lacks a dtype, a shape or a pair of data_offsets",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[8,0]}} | 8 | lies at bytes 8 to 0",
        "{'a':{'dtype':'F32','shape':[2.5],'data_offsets':[0,8]}} | 8 | lacks a list of whole numbers at 'shape' of 'a'",
        "{'a':{'dtype':'F32','shape':[2],'data_offsets':[0,8],'x':1}} | 8 | unknown field 'x'",
        "{'__metadata__':{'k':1}} | 0 | lacks a text at 'k'",
      })
  void refusesAWrongHeader(String header, int dataBytes, String message) throws IOException {
    byte[] json = header.replace('\'', '"').getBytes(StandardCharsets.UTF_8);
    ByteBuffer file =
        ByteBuffer.allocate(8 + json.length + dataBytes).order(ByteOrder.LITTLE_ENDIAN);
    file.putLong(json.length).put(json);
    Path path = Files.write(folder.resolve("wrong.safetensors"), file.array());
    assertThatThrownBy(() -> Safetensors.open(path))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("Cannot read the safetensors file " + path + " because ")
        .hasMessageContaining(message);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "5 | it has 5 bytes",
        "30 | it was cut short: its header takes",
        "-1 | its header's length is -1",
        "200000000 | its header's length is 200000000",
      })
  void refusesAWrongLength(long value, String message) throws IOException {
    byte[] whole = bytes(new SafetensorsWriter().add("a", new float[] {1}, 1));
    byte[] wrong;
    if (value > 0 && value < 100) {
      wrong = java.util.Arrays.copyOf(whole, (int) value);
    } else {
      wrong = whole;
      ByteBuffer.wrap(wrong).order(ByteOrder.LITTLE_ENDIAN).putLong(0, value);
    }
    Path path = Files.write(folder.resolve("wrong.safetensors"), wrong);
    assertThatThrownBy(() -> Safetensors.open(path)).hasMessageContaining(message);
  }

  private static final String POINTER =
      "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0".repeat(64) + "\nsize 493\n";

  /** What git, a server or Python has put in the place of weights is said to be that. */
  @Test
  void namesWhatStandsInThePlaceOfWeights() throws IOException {
    Path single = folder.resolve("model.safetensors");
    Files.writeString(single, POINTER);
    assertNamed(single, "it is a Git LFS pointer: run git lfs pull");
    Files.writeString(single, "<!DOCTYPE html><html><body>404</body></html>");
    assertNamed(single, "it is an HTML page");
    Files.write(single, new byte[] {(byte) 0x80, 2, '}', 'q', 0, '.'});
    assertNamed(single, "it is a Python pickle");
    Files.write(single, new byte[0]);
    assertNamed(single, "it is empty");
    // A length that fits, by chance, and no object after it.
    byte[] zip = new byte[9000];
    zip[0] = 0x1f;
    zip[1] = (byte) 0x8b;
    zip[2] = 8;
    Files.write(single, zip);
    assertThatThrownBy(() -> Safetensors.open(folder)).hasMessageContaining("it is gzip data");

    Files.delete(single);
    write("model-1.safetensors", new SafetensorsWriter().add("a", new float[] {1}, 1));
    Path second = Files.writeString(folder.resolve("model-2.safetensors"), POINTER);
    index("{\"weight_map\": {\"a\": \"model-1.safetensors\", \"b\": \"model-2.safetensors\"}}");
    assertNamed(second, "it is a Git LFS pointer: run git lfs pull");
    index(POINTER);
    for (ThrowingCallable read : reads()) {
      assertThatThrownBy(read)
          .hasMessageContaining(
              "model.safetensors.index.json because it is a Git LFS pointer: run git lfs pull");
    }
  }

  private void assertNamed(Path file, String message) {
    for (ThrowingCallable read : reads()) {
      assertThatThrownBy(read)
          .isInstanceOf(IOException.class)
          .hasMessageStartingWith("Cannot read the safetensors file ")
          .hasMessageContaining(file + " because " + message);
    }
  }

  private List<ThrowingCallable> reads() {
    return List.of(
        () -> Safetensors.open(folder),
        () -> Safetensors.requireFiles(new Configuration(false), folder.toString()));
  }

  @Test
  void namesWeightsOfOtherKinds() throws IOException {
    Files.write(folder.resolve("pytorch_model.bin"), new byte[] {(byte) 0x80, 2, '}', 'q', 0, '.'});
    write("open_clip_model.safetensors", new SafetensorsWriter().add("a", new float[] {1}, 1));
    for (ThrowingCallable read : reads()) {
      assertThatThrownBy(read)
          .hasMessageContaining(
              "it has neither model.safetensors nor model.safetensors.index.json;"
                  + " open_clip_model.safetensors is a safetensors file, pytorch_model.bin is a"
                  + " Python pickle. Convert the weights to safetensors first.");
    }
  }

  @Test
  void everyTruncationIsRefused() throws IOException {
    byte[] whole = bytes(new SafetensorsWriter().add("a", new float[] {1, 2, 3}, 3));
    for (int size = 0; size < whole.length; size++) {
      Path path =
          Files.write(folder.resolve("cut.safetensors"), java.util.Arrays.copyOf(whole, size));
      assertThatThrownBy(() -> Safetensors.open(path)).isInstanceOf(IOException.class);
    }
  }

  @Test
  void readsAShardedFolder() throws IOException {
    write("one.safetensors", new SafetensorsWriter().add("a", new float[] {1}, 1));
    write("two.safetensors", new SafetensorsWriter().add("b", new float[] {2}, 1));
    index("{\"weight_map\":{\"a\":\"one.safetensors\",\"b\":\"two.safetensors\"}}");
    Safetensors tensors = Safetensors.open(folder);
    assertThat(tensors.names()).containsExactly("a", "b");
    assertThat(tensors.bytes("b").getFloat()).isEqualTo(2);
    assertThatThrownBy(() -> tensors.entry("c"))
        .hasMessage(
            "Cannot find the tensor 'c' in " + folder + ". It has 2 tensors, among them [a, b].");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '`',
      value = {
        "{'weight_map':{'a':'gone.safetensors'}} | names a file that is not there: gone.safetensors",
        "{'weight_map':{'z':'one.safetensors'}} | one.safetensors lacks the tensor 'z'",
        "{'weight_map':{'a':'../one.safetensors'}} | is not in a .safetensors file of the same folder: ../one.safetensors",
        "{'weight_map':{'a':'/etc/one.safetensors'}} | is not in a .safetensors file of the same folder: /etc/one.safetensors",
        "{'weight_map':{'a':'s3:one.safetensors'}} | is not in a .safetensors file of the same folder: s3:one.safetensors",
        "{'weight_map':{'a':'one\\u0000.safetensors'}} | is not in a .safetensors file of the same folder: one\\u0000.safetensors",
        "{'weight_map':{'a':'one\\n.safetensors'}} | is not in a .safetensors file of the same folder: one\\u000a.safetensors",
        "{'weight_map':{'a':['one.safetensors']}} | is not in a .safetensors file of the same folder",
        "{'weight_map':{}} | it has no weight_map of tensors to files",
        "{'weight_map': | it is not JSON",
      })
  void refusesAWrongIndex(String index, String message) throws IOException {
    write("one.safetensors", new SafetensorsWriter().add("a", new float[] {1}, 1));
    index(index.replace('\'', '"'));
    assertThatThrownBy(() -> Safetensors.open(folder)).hasMessageContaining(message);
  }

  @Test
  void refusesAnIndexThatIsTooLarge() throws IOException {
    try (RandomAccessFile file =
        new RandomAccessFile(folder.resolve("model.safetensors.index.json").toFile(), "rw")) {
      file.setLength(ModelLimits.INDEX_BYTES + 1L);
    }
    assertThatThrownBy(() -> Safetensors.open(folder))
        .hasMessageContaining("because it has more than 67108864 bytes");
    assertThatThrownBy(() -> Safetensors.requireFiles(new Configuration(false), folder.toString()))
        .hasMessageContaining("because it has more than 67108864 bytes");
  }

  @Test
  void saysWhatIsMissing() {
    assertThatThrownBy(() -> Safetensors.open(folder))
        .hasMessage(
            "Cannot read the model folder "
                + folder
                + " because it has neither model.safetensors nor model.safetensors.index.json."
                + " Convert the weights to safetensors first.");
    assertThatThrownBy(() -> Safetensors.open(folder.resolve("x.safetensors")))
        .hasMessageEndingWith("because there is no such file.");
  }

  @Test
  void arraysAreViewsOfTheFile() throws IOException {
    Torch.start(1);
    try (NDManager manager = Torch.manager()) {
      NDArray wide = manager.create(new float[] {1, 2, 3, 4, 5, 6}, new Shape(2, 3));
      NDArray half = Torch.cast(wide, ElementType.BFLOAT16);
      Path file =
          write(
              "m.safetensors",
              new SafetensorsWriter()
                  .add("transposed", wide.transpose(), ElementType.FLOAT32)
                  .add("half", half, ElementType.BFLOAT16)
                  .add("n", new long[] {7, 8}, 2));
      Map<String, NDArray> arrays =
          Safetensors.open(file)
              .arrays(
                  manager,
                  Map.of(
                      "transposed", new Shape(3, 2), "half", new Shape(2, 3), "n", new Shape(2)));
      assertThat(arrays.get("transposed").toFloatArray()).containsExactly(1, 4, 2, 5, 3, 6);
      assertThat(Torch.floats(arrays.get("half"))).containsExactly(1, 2, 3, 4, 5, 6);
      assertThat(arrays.get("n").toLongArray()).containsExactly(7, 8);
      // Private to the process: the file keeps its bytes.
      Torch.fill(arrays.get("n"), 0);
      assertThat(Safetensors.open(file).bytes("n").getLong()).isEqualTo(7);
      assertThatThrownBy(
              () -> Safetensors.open(file).arrays(manager, Map.of("half", new Shape(3, 2))))
          .hasMessage(
              "Cannot use tensor 'half' of "
                  + file
                  + " because its shape is [2, 3] and the model needs [3, 2]. The weights belong to"
                  + " another configuration.");
    }
  }

  @Test
  void readsAFileOutOfAlignment() throws IOException {
    Torch.start(1);
    String header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}} ";
    int padding = header.length() % 4 == 1 ? 0 : (5 - header.length() % 4) % 4;
    byte[] json = (header + " ".repeat(padding)).getBytes(StandardCharsets.US_ASCII);
    ByteBuffer bytes = ByteBuffer.allocate(16 + json.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(json.length).put(json).putFloat(3).putFloat(4);
    Path file = Files.write(folder.resolve("old.safetensors"), bytes.array());
    try (NDManager manager = Torch.manager()) {
      NDArray array = Safetensors.open(file).arrays(manager, Map.of("a", new Shape(2))).get("a");
      assertThat(array.toFloatArray()).containsExactly(3, 4);
    }
  }

  @Test
  void mapsAFileOfMoreThanTwoGigabytes() throws IOException {
    Torch.start(1);
    long elements = (3L << 30) / 4;
    String header =
        "{\"a\":{\"dtype\":\"F32\",\"shape\":["
            + elements
            + "],\"data_offsets\":[0,"
            + 4 * elements
            + "]}}";
    byte[] json =
        (header + " ".repeat((8 - header.length() % 8) % 8)).getBytes(StandardCharsets.US_ASCII);
    Path file = folder.resolve("large.safetensors");
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      ByteBuffer start = ByteBuffer.allocate(8 + json.length).order(ByteOrder.LITTLE_ENDIAN);
      channel.write(start.putLong(json.length).put(json).flip());
      // A sparse file: only its last page takes space.
      ByteBuffer last = ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putFloat(9).flip();
      channel.write(last, 8 + json.length + 4 * (elements - 1));
    }
    try (NDManager manager = Torch.manager()) {
      NDArray array =
          Safetensors.open(file).arrays(manager, Map.of("a", new Shape(elements))).get("a");
      assertThat(Torch.scalar(Torch.narrow(array, elements - 1, 1))).isEqualTo(9);
    }
  }

  private void index(String json) throws IOException {
    Files.writeString(folder.resolve("model.safetensors.index.json"), json);
  }

  private Path write(String name, SafetensorsWriter writer) throws IOException {
    return Files.write(folder.resolve(name), bytes(writer));
  }

  private static byte[] bytes(SafetensorsWriter writer) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    writer.writeTo(out);
    return out.toByteArray();
  }

  @Test
  void keepsTheShapeOfAScalar() throws IOException {
    Path file = write("s.safetensors", new SafetensorsWriter().add("s", new long[] {4}));
    assertThat(Safetensors.open(file).entry("s").shape()).isEqualTo(List.of());
  }

  /** Direct memory goes only when the collector comes by: many tensors must not ask for it anew. */
  @Test
  void oneBufferServesAllTensors() throws IOException {
    BufferPoolMXBean direct =
        ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
            .filter(pool -> pool.getName().equals("direct"))
            .findFirst()
            .orElseThrow();
    try (NDManager manager = Torch.manager()) {
      SafetensorsWriter writer = new SafetensorsWriter();
      NDArray array = Torch.zeros(manager, new Shape(1 << 20), ElementType.FLOAT32);
      for (int i = 0; i < 20; i++) {
        writer.add("tensor " + i, array, ElementType.FLOAT32);
      }
      long before = direct.getTotalCapacity();
      writer.writeTo(OutputStream.nullOutputStream());
      assertThat(direct.getTotalCapacity() - before).isLessThan(8 << 20);
    }
  }
}
