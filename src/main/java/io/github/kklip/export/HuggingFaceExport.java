package io.github.kklip.export;

import static io.github.kklip.config.Message.message;

import com.fasterxml.jackson.annotation.JsonProperty;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.github.kklip.config.Settings;
import io.github.kklip.config.SettingsException;
import io.github.kklip.image.Preprocess;
import io.github.kklip.model.ClipConfig;
import io.github.kklip.model.ClipModel;
import io.github.kklip.progress.Progress;
import io.github.kklip.safetensors.Safetensors;
import io.github.kklip.safetensors.SafetensorsEntry;
import io.github.kklip.safetensors.SafetensorsWriter;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.publication.Lease;
import io.github.kklip.store.publication.Publication;
import io.github.kklip.store.publication.Storage;
import io.github.kklip.text.StudentTokenizer;
import io.github.kklip.text.TokenizerFolder;
import io.github.kklip.train.checkpoint.Checkpoint;
import io.github.kklip.train.checkpoint.CheckpointStore;
import java.io.FileNotFoundException;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.FileStatus;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Writes a trained student as a folder that {@code transformers.CLIPModel} and {@code
 * CLIPProcessor} load, and that {@code student.init} takes:
 *
 * <pre>
 * config.json                                     shape of the model
 * model.safetensors                               weights under Hugging Face's names
 * tokenizer.json, vocab.json, merges.txt,
 * tokenizer_config.json, special_tokens_map.json  the tokenizer
 * preprocessor_config.json                        what is done to an image first
 * kklip_heads.safetensors, kklip_heads.json       W_e and W_c, and what they mean; not for plain CLIP
 * </pre>
 *
 * <p>Equal checkpoints give equal bytes, and so does the export of an exported folder.
 */
public final class HuggingFaceExport {
  private static final Logger LOG = LoggerFactory.getLogger(HuggingFaceExport.class);
  private static final String CONFIG = "config.json";
  private static final String MODEL = "model.safetensors";
  private static final String TOKENIZER = "tokenizer.json";
  private static final String PREPROCESSOR = "preprocessor_config.json";
  private static final String HEADS = "kklip_heads.safetensors";
  private static final String HEADS_MEANING = "kklip_heads.json";

  /** What an export writes beside the tokenizer's files. */
  private static final List<String> FILES =
      List.of(CONFIG, MODEL, PREPROCESSOR, HEADS, HEADS_MEANING);

  /** Pillow's number of the filter. */
  private static final int PILLOW_BICUBIC = 3;

  /** Where {@code export.path} is not set: this folder of the run's. */
  private static final String DEFAULT_FOLDER = "huggingface";

  /** Writes the bytes of one file. */
  @FunctionalInterface
  private interface FileContent {
    void writeTo(OutputStream out) throws IOException;
  }

  /**
   * What was exported.
   *
   * @param path the folder written
   * @param source the checkpoint or folder that it was made of
   * @param parameters numbers in the model, without KKLIP's heads
   * @param heads names of KKLIP's heads
   */
  public record ExportResult(
      String path, @JsonProperty("model") String source, long parameters, List<String> heads) {}

  private HuggingFaceExport() {}

  /**
   * Exports {@code export.model} (else {@code train.output}) to {@code export.path}.
   *
   * @throws IOException when there is no whole checkpoint, or the target holds something else
   */
  public static ExportResult run(Settings settings, Configuration configuration)
      throws IOException {
    String source = source(settings);
    org.apache.hadoop.fs.Path target = target(settings, configuration);
    try (Lease lease = Lease.acquire(configuration, target, "export", settings.leaseExpiry())) {
      Path folder = huggingFaceFolder(source, configuration);
      if (folder != null) {
        return write(folder, folder.resolve(HEADS), source, target, configuration, lease);
      }
      try (Checkpoint checkpoint = CheckpointStore.newest(source, configuration)) {
        return write(
            checkpoint.folder(),
            checkpoint.heads(),
            checkpoint.location(),
            target,
            configuration,
            lease);
      }
    }
  }

  private static String source(Settings settings) {
    String model = settings.export().model();
    return model.isEmpty() ? Settings.required(settings.train().output(), "export.model") : model;
  }

  /** The folder that is written to. */
  public static org.apache.hadoop.fs.Path target(Settings settings, Configuration configuration) {
    String path = settings.export().path();
    return path.isEmpty()
        ? new org.apache.hadoop.fs.Path(
            Storage.path(
                Settings.required(settings.train().output(), "export.path"), configuration),
            DEFAULT_FOLDER)
        : Storage.path(path, configuration);
  }

  /**
   * Refuses a model that cannot be exported, without reading its weights.
   *
   * @throws IOException when there is no checkpoint, or a file of the folder is missing
   */
  public static void checkModel(Settings settings, Configuration configuration) throws IOException {
    String source = source(settings);
    Path folder = huggingFaceFolder(source, configuration);
    if (folder == null) {
      CheckpointStore.requireSome(source, configuration);
      return;
    }
    ClipConfig config = ClipConfig.read(folder.toString());
    Safetensors.open(folder);
    requireTokenizer(folder, config);
  }

  /**
   * Refuses a target that holds something else than an older export.
   *
   * @throws SettingsException when it does
   * @throws IOException when it cannot be listed
   */
  public static void checkTarget(Settings settings, Configuration configuration)
      throws IOException {
    refuseForeign(target(settings, configuration), configuration);
  }

  /** The source as a local Hugging Face folder; null when it is a run or a checkpoint. */
  private static Path huggingFaceFolder(String source, Configuration configuration) {
    org.apache.hadoop.fs.Path path = Storage.path(source, configuration);
    if (!path.toUri().getScheme().equals("file")) {
      return null;
    }
    Path folder = Path.of(path.toUri().getPath());
    boolean checkpoint = Files.exists(folder.resolve("checkpoint.json"));
    return !checkpoint && Files.exists(folder.resolve(CONFIG)) ? folder : null;
  }

  private static ExportResult write(
      Path folder,
      Path headsFile,
      String source,
      org.apache.hadoop.fs.Path target,
      Configuration configuration,
      Lease lease)
      throws IOException {
    ClipConfig config = ClipConfig.read(folder.toString());
    Map<String, FileContent> files = new LinkedHashMap<>();

    SafetensorsWriter model = new SafetensorsWriter().metadata("format", "pt");
    long parameters = copyModel(Safetensors.open(folder), model);
    files.put(MODEL, model::writeTo);
    tokenizer(folder, config).forEach((name, bytes) -> files.put(name, out -> out.write(bytes)));
    byte[] preprocessor = Json.pretty(preprocessor(config));
    files.put(PREPROCESSOR, out -> out.write(preprocessor));

    List<String> heads = new ArrayList<>();
    if (Files.exists(headsFile)) {
      Safetensors trained = Safetensors.open(headsFile);
      heads.addAll(trained.names().stream().sorted().toList());
      if (!heads.isEmpty()) {
        SafetensorsWriter writer = new SafetensorsWriter().metadata("format", "pt");
        // Which mean and which concepts the heads were trained against.
        trained.metadata().forEach(writer::metadata);
        ObjectNode meanings = Json.object().put("format", 1);
        ArrayNode list = meanings.putArray("heads");
        for (String name : heads) {
          list.add(meaning(copy(trained, name, writer)));
        }
        byte[] meaning = Json.pretty(meanings);
        files.put(HEADS, writer::writeTo);
        files.put(HEADS_MEANING, out -> out.write(meaning));
      }
    }
    byte[] json = config.json().getBytes(StandardCharsets.UTF_8);
    // Last: a folder without it does not load.
    files.put(CONFIG, out -> out.write(json));

    refuseForeign(target, configuration);
    lease.check();
    // Whatever of an older export is left must not pass for this one.
    for (String name : List.of(CONFIG, HEADS, HEADS_MEANING)) {
      Storage.of(configuration, target).delete(new org.apache.hadoop.fs.Path(target, name), false);
    }
    try (Progress progress = Progress.of("export", "files").total(files.size()).begin()) {
      for (Map.Entry<String, FileContent> file : files.entrySet()) {
        publish(
            configuration, new org.apache.hadoop.fs.Path(target, file.getKey()), file.getValue());
        progress.add(1);
      }
      progress.done();
    }
    LOG.info("Exported {} to {}", source, target);
    return new ExportResult(target.toString(), source, parameters, List.copyOf(heads));
  }

  /** Copies all tensors of a CLIPModel; old files also hold positions, which are no weights. */
  private static long copyModel(Safetensors file, SafetensorsWriter writer) throws IOException {
    long parameters = 0;
    for (String name : file.names()) {
      if (!name.endsWith(".position_ids")) {
        SafetensorsEntry entry = copy(file, name, writer);
        parameters += entry.size() / entry.type().bytes();
      }
    }
    return parameters;
  }

  private static SafetensorsEntry copy(Safetensors file, String name, SafetensorsWriter writer)
      throws IOException {
    SafetensorsEntry entry = file.entry(name);
    writer.add(name, entry.type(), entry.shape(), file.bytes(name));
    return entry;
  }

  private static Map<String, byte[]> tokenizer(Path folder, ClipConfig config) throws IOException {
    requireTokenizer(folder, config);
    return TokenizerFolder.files(
        Files.readString(folder.resolve(TOKENIZER)), config.text().context());
  }

  private static void requireTokenizer(Path folder, ClipConfig config) {
    try (StudentTokenizer tokenizer = StudentTokenizer.load(folder)) {
      tokenizer.checkFits(config.text().vocabulary(), config.text().endId());
    }
  }

  /** What {@link Preprocess} does, in the words of CLIPImageProcessor. */
  private static ObjectNode preprocessor(ClipConfig config) {
    int side = config.vision().image();
    ObjectNode json = Json.object();
    json.putObject("crop_size").put("height", side).put("width", side);
    json.put("do_center_crop", true).put("do_convert_rgb", true).put("do_normalize", true);
    json.put("do_rescale", true).put("do_resize", true);
    ArrayNode mean = json.putArray("image_mean");
    ArrayNode deviation = json.putArray("image_std");
    for (int channel = 0; channel < 3; channel++) {
      mean.add(Preprocess.MEAN.get(channel));
      deviation.add(Preprocess.STD.get(channel));
    }
    json.put("image_processor_type", "CLIPImageProcessor");
    json.put("resample", PILLOW_BICUBIC).put("rescale_factor", 1 / 255.0);
    json.putObject("size").put("shortest_edge", side);
    return json;
  }

  private static ObjectNode meaning(SafetensorsEntry head) {
    ObjectNode json = Json.object().put("tensor", head.name());
    ArrayNode shape = json.putArray("shape");
    head.shape().forEach(shape::add);
    switch (head.name()) {
      case ClipModel.EMBEDDING_HEAD ->
          json.put("symbol", "W_e")
              .put("input", "text embedding, projected, before normalisation")
              .put("output", "input W_e: the teacher's embedding of the caption, postprocessed");
      case ClipModel.CONCEPT_HEAD ->
          json.put("symbol", "W_c")
              .put("input", "text or image embedding, projected, before normalisation")
              .put("output", "softmax(input W_c): probabilities of the concepts");
      case ClipModel.IMAGE_CONCEPT_HEAD ->
          json.put("symbol", "W_c of images; the other W_c is then of texts alone")
              .put("input", "image embedding, projected, before normalisation")
              .put("output", "softmax(input W_c): probabilities of the concepts");
      default ->
          throw new IllegalStateException(
              message("Cannot export the head %s because its meaning is not known.", head.name()));
    }
    return json;
  }

  /** An export replaces an older one, and nothing else. */
  private static void refuseForeign(org.apache.hadoop.fs.Path target, Configuration configuration)
      throws IOException {
    FileStatus[] found;
    try {
      found = Storage.of(configuration, target).listStatus(target);
    } catch (FileNotFoundException e) {
      return;
    }
    for (FileStatus file : found) {
      String name = file.getPath().getName();
      boolean ours = FILES.contains(name) || Checkpoint.TOKENIZER_FILES.contains(name);
      if (!ours && !name.startsWith(".") && !name.equals(Lease.FOLDER)) {
        throw new SettingsException(
            message(
                "Cannot export to %s because the folder holds something else: %s. Set export.path to a new folder.",
                target, name));
      }
    }
  }

  private static void publish(
      Configuration configuration, org.apache.hadoop.fs.Path path, FileContent content)
      throws IOException {
    try (Publication publication = Publication.of(configuration, path)) {
      try (OutputStream out = publication.create()) {
        content.writeTo(out);
      }
      publication.commit();
    }
  }
}
