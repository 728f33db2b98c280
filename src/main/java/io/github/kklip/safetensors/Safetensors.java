package io.github.kklip.safetensors;

import static io.github.kklip.config.Message.message;
import static io.github.kklip.config.Message.shown;

import ai.djl.ndarray.NDArray;
import ai.djl.ndarray.NDManager;
import ai.djl.ndarray.types.Shape;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import io.github.kklip.config.ElementType;
import io.github.kklip.config.ModelLimits;
import io.github.kklip.store.publication.ContentKind;
import io.github.kklip.store.publication.FileName;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.SmallFile;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.EnumMap;
import java.util.HashMap;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.apache.hadoop.fs.FileSystem;

/**
 * The tensors of one safetensors file, or of a Hugging Face folder with one ({@code
 * model.safetensors}) or many ({@code model.safetensors.index.json}). Headers are read and checked
 * when it is opened; tensors are mapped into memory when they are asked for, and never copied to
 * the heap.
 */
public final class Safetensors {
  static final String SINGLE = "model.safetensors";
  static final String INDEX = "model.safetensors.index.json";
  private static final String ENDING = ".safetensors";

  /** Names of weights under which they are not looked for. */
  private static final Pattern OTHER_WEIGHTS =
      Pattern.compile(".+\\.(?:safetensors|bin|pt|pth|ckpt|gguf|msgpack|h5|onnx)");

  private record Located(Path file, SafetensorsEntry entry) {}

  private final Path source;
  private final Map<String, Located> tensors;
  private final Map<String, String> metadata;

  private Safetensors(Path source, Map<String, Located> tensors, Map<String, String> metadata) {
    this.source = source;
    this.tensors = Collections.unmodifiableMap(tensors);
    this.metadata = Collections.unmodifiableMap(metadata);
  }

  /**
   * Opens a file or a model folder.
   *
   * @param path a local safetensors file, or a folder that has {@code model.safetensors} or {@code
   *     model.safetensors.index.json}
   * @throws IOException when something is missing, cut short or invalid; the message says what
   */
  public static Safetensors open(Path path) throws IOException {
    if (!Files.isDirectory(path)) {
      if (!Files.isRegularFile(path)) {
        throw new IOException(
            message("Cannot read the safetensors file %s because there is no such file.", path));
      }
      return ofFile(path);
    }
    Path index = path.resolve(INDEX);
    if (Files.exists(index)) {
      return ofIndex(index);
    }
    if (Files.exists(path.resolve(SINGLE))) {
      return ofFile(path.resolve(SINGLE));
    }
    Set<String> names = new HashSet<>();
    try (Stream<Path> files = Files.list(path)) {
      files.forEach(file -> names.add(file.getFileName().toString()));
    }
    throw noWeights(path.toString(), names, name -> Files.newInputStream(path.resolve(name)));
  }

  /**
   * Refuses a local model folder whose weights cannot be opened.
   *
   * @throws IOException as {@link #open} does
   */
  public static void requireHeaders(Path folder) throws IOException {
    var unused = open(folder);
  }

  /** Whether a file of a model folder holds weights, or tells where they are. */
  public static boolean isFile(String name) {
    return name.endsWith(ENDING) || name.equals(INDEX);
  }

  /**
   * Refuses a model folder that lacks files of its weights, or has files of a few bytes in their
   * place, on whatever file system it is; by its listing, its index and such files alone.
   *
   * @throws IOException when neither form of weights is there, a file that the index names is not,
   *     or one is no safetensors file
   */
  public static void requireFiles(Configuration configuration, String folder) throws IOException {
    var path = Storage.path(folder, configuration);
    FileSystem fileSystem = Storage.of(configuration, path);
    Map<String, Long> lengths = new TreeMap<>();
    for (FileStatus file : fileSystem.listStatus(path)) {
      lengths.put(file.getPath().getName(), file.getLen());
    }
    FileOpener files = name -> fileSystem.open(new org.apache.hadoop.fs.Path(path, name));
    for (String name : required(folder, lengths.keySet(), files)) {
      if (lengths.get(name) < ContentKind.HEAD_BYTES) {
        try (InputStream in = files.open(name)) {
          Optional<ContentKind> kind =
              ContentKind.of(in.readAllBytes()).filter(k -> k != ContentKind.SAFETENSORS);
          if (kind.isPresent()) {
            throw SafetensorsHeader.invalid(path + "/" + name, kind.get().sentence());
          }
        }
      }
    }
  }

  /** The names of the files that hold the tensors, which are there. */
  private static Set<String> required(String folder, Set<String> names, FileOpener files)
      throws IOException {
    if (names.contains(INDEX)) {
      String index = folder + "/" + INDEX;
      byte[] json;
      try (InputStream in = files.open(INDEX)) {
        json = SmallFile.read(in, index, ModelLimits.INDEX_BYTES);
      }
      Set<String> required = new TreeSet<>();
      for (FileName file : new TreeSet<>(weightMap(json, index).values())) {
        if (!names.contains(file.text())) {
          throw notThere(folder, file);
        }
        required.add(file.text());
      }
      return required;
    }
    if (names.contains(SINGLE)) {
      return Set.of(SINGLE);
    }
    throw noWeights(folder, names, files);
  }

  /** Opens a file of a folder. */
  private interface FileOpener {
    InputStream open(String name) throws IOException;
  }

  private static IOException noWeights(String folder, Set<String> names, FileOpener files)
      throws IOException {
    List<String> others = new ArrayList<>();
    for (String name :
        names.stream().filter(n -> OTHER_WEIGHTS.matcher(n).matches()).sorted().limit(3).toList()) {
      try (InputStream in = files.open(name)) {
        String what =
            ContentKind.of(in.readNBytes(ContentKind.HEAD_BYTES))
                .map(ContentKind::what)
                .orElse("weights of another kind");
        others.add(message("%s is %s", shown(name), what));
      }
    }
    return new IOException(
        message(
            "Cannot read the model folder %s because it has neither %s nor %s%s. Convert the weights to safetensors first.",
            folder, SINGLE, INDEX, others.isEmpty() ? "" : "; " + String.join(", ", others)));
  }

  private static IOException notThere(String folder, FileName file) {
    return new IOException(
        message(
            "Cannot read the model folder %s because %s names a file that is not there: %s.",
            folder, INDEX, file));
  }

  /** The name of the file of each tensor. */
  private static Map<String, FileName> weightMap(byte[] json, String index) throws IOException {
    JsonNode weightMap;
    try {
      weightMap = Json.tree(json).path("weight_map");
    } catch (JsonProcessingException e) {
      throw new IOException(message("Cannot read %s because %s.", index, Json.notJson(json, e)), e);
    }
    if (!weightMap.isObject() || weightMap.isEmpty()) {
      throw new IOException(
          message("Cannot read %s because it has no weight_map of tensors to files.", index));
    }
    Map<String, FileName> files = new LinkedHashMap<>();
    for (Map.Entry<String, JsonNode> field : weightMap.properties()) {
      files.put(field.getKey(), fileOf(field.getKey(), field.getValue(), index));
    }
    return files;
  }

  private static FileName fileOf(String tensor, JsonNode name, String index) throws IOException {
    IllegalArgumentException invalid = null;
    if (name.isTextual() && name.textValue().endsWith(ENDING)) {
      try {
        return new FileName(name.textValue());
      } catch (IllegalArgumentException e) {
        invalid = e;
      }
    }
    throw new IOException(
        message(
            "Cannot read %s because tensor '%s' is not in a %s file of the same folder: %s.",
            index, shown(tensor), ENDING, shown(name.asText())),
        invalid);
  }

  private static Safetensors ofFile(Path file) throws IOException {
    SafetensorsHeader header = SafetensorsHeader.read(file);
    Map<String, Located> tensors = new LinkedHashMap<>();
    header.entries().forEach((name, entry) -> tensors.put(name, new Located(file, entry)));
    return new Safetensors(file, tensors, header.metadata());
  }

  private static Safetensors ofIndex(Path index) throws IOException {
    Map<Path, SafetensorsHeader> headers = new TreeMap<>();
    Map<String, Located> tensors = new LinkedHashMap<>();
    byte[] json = SmallFile.read(index, ModelLimits.INDEX_BYTES);
    for (Map.Entry<String, FileName> field : weightMap(json, index.toString()).entrySet()) {
      FileName fileName = field.getValue();
      Path file = index.resolveSibling(fileName.text());
      if (!headers.containsKey(file)) {
        if (!Files.isRegularFile(file)) {
          throw notThere(index.getParent().toString(), fileName);
        }
        headers.put(file, SafetensorsHeader.read(file));
      }
      SafetensorsEntry entry = headers.get(file).entries().get(field.getKey());
      if (entry == null) {
        throw new IOException(
            message(
                "Cannot read the model folder %s because %s lacks the tensor '%s' that %s places there.",
                index.getParent(), fileName, field.getKey(), INDEX));
      }
      tensors.put(field.getKey(), new Located(file, entry));
    }
    return new Safetensors(index.getParent(), tensors, Map.of());
  }

  /** The names of all tensors. */
  public Set<String> names() {
    return tensors.keySet();
  }

  /** The files that hold the tensors. */
  public Set<Path> files() {
    Set<Path> files = new TreeSet<>();
    tensors.values().forEach(located -> files.add(located.file));
    return files;
  }

  /** The header's metadata; empty for a folder of many files. */
  public Map<String, String> metadata() {
    return metadata;
  }

  /** Bytes of all tensors. */
  public long size() {
    return tensors.values().stream().mapToLong(located -> located.entry.size()).sum();
  }

  /**
   * Type, shape and place of a tensor.
   *
   * @throws IOException when there is no tensor of that name
   */
  public SafetensorsEntry entry(String name) throws IOException {
    return located(name).entry;
  }

  /**
   * A tensor's bytes, mapped read-only, little-endian.
   *
   * @throws IOException when there is no tensor of that name, or it has 2 GiB or more
   */
  public ByteBuffer bytes(String name) throws IOException {
    Located located = located(name);
    if (located.entry.size() > Integer.MAX_VALUE) {
      throw new IOException(
          message(
              "Cannot map tensor '%s' of %s as one buffer because it has %s bytes, over 2 GiB.",
              name, source, located.entry.size()));
    }
    try (FileChannel channel = FileChannel.open(located.file, StandardOpenOption.READ)) {
      return channel
          .map(FileChannel.MapMode.READ_ONLY, located.entry.begin(), located.entry.size())
          .order(ByteOrder.LITTLE_ENDIAN);
    }
  }

  /**
   * Arrays over the mapped files: no element is read before it is used, and none is copied.
   *
   * @param manager owner of the arrays, which stay on the CPU
   * @param shapes the wanted tensors with the shapes that they must have
   * @return the arrays by name, in the types of the file
   * @throws IOException when a tensor is missing or has another shape
   */
  public Map<String, NDArray> arrays(NDManager manager, Map<String, Shape> shapes)
      throws IOException {
    for (Map.Entry<String, Shape> wanted : shapes.entrySet()) {
      SafetensorsEntry entry = entry(wanted.getKey());
      if (!entry.shape().equals(Arrays.stream(wanted.getValue().getShape()).boxed().toList())) {
        throw new IOException(
            message(
                "Cannot use tensor '%s' of %s because its shape is %s and the model needs %s. The weights belong to another configuration.",
                wanted.getKey(),
                source,
                entry.shape(),
                Arrays.toString(wanted.getValue().getShape())));
      }
    }
    Map<Path, Map<ElementType, NDArray>> files = new HashMap<>();
    Map<String, NDArray> arrays = new LinkedHashMap<>();
    try (NDManager scope = manager.newSubManager()) {
      for (Map.Entry<String, Shape> wanted : shapes.entrySet()) {
        Located located = located(wanted.getKey());
        SafetensorsEntry entry = located.entry;
        ElementType type = entry.type();
        NDArray array;
        if (entry.begin() % type.bytes() == 0) {
          long elements = Files.size(located.file) / type.bytes();
          NDArray file =
              files
                  .computeIfAbsent(located.file, f -> new EnumMap<>(ElementType.class))
                  .computeIfAbsent(type, t -> Torch.fromFile(scope, located.file, elements, t));
          array = Torch.view(manager, file, entry.begin() / type.bytes(), wanted.getValue());
        } else {
          // Old files may be out of alignment: their tensors are copied, off the heap.
          array = Torch.zeros(manager, wanted.getValue(), type);
          Torch.write(array, bytes(wanted.getKey()), type);
        }
        arrays.put(wanted.getKey(), array);
      }
    }
    return arrays;
  }

  private Located located(String name) throws IOException {
    Located located = tensors.get(name);
    if (located == null) {
      throw new IOException(
          message(
              "Cannot find the tensor '%s' in %s. It has %s tensors, among them %s.",
              name,
              source,
              tensors.size(),
              new TreeSet<>(tensors.keySet()).stream().limit(5).toList()));
    }
    return located;
  }
}
