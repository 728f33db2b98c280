package io.github.kklip.train.checkpoint;

import static io.github.kklip.config.Message.message;

import io.github.kklip.image.Preprocessing;
import io.github.kklip.store.publication.TemporaryFolder;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * A whole checkpoint, its files on the local disk and checked. Close it to remove what was fetched
 * from a remote file system.
 *
 * <p>The folder is a Hugging Face CLIP folder ({@code config.json}, {@code model.safetensors},
 * {@code tokenizer.json}, {@code preprocessor_config.json}) with KKLIP's heads in {@code
 * kklip_heads.safetensors}, the moments in {@code optimizer.safetensors} and the position in {@code
 * state.json}.
 */
public final class Checkpoint implements AutoCloseable {
  static final String CONFIG = "config.json";
  public static final String MODEL = "model.safetensors";
  public static final String HEADS = "kklip_heads.safetensors";
  public static final String OPTIMIZER = "optimizer.safetensors";

  /** The files of a tokenizer's folder that come along. */
  public static final List<String> TOKENIZER_FILES =
      List.of(
          "tokenizer.json",
          "tokenizer_config.json",
          "special_tokens_map.json",
          "vocab.json",
          "merges.txt");

  static final String STATE = "state.json";

  /** All names that a checkpoint's files may have: what lists others was not written here. */
  static final Set<String> FILES =
      Stream.concat(
              Stream.of(CONFIG, Preprocessing.FILE, MODEL, HEADS, OPTIMIZER, STATE),
              TOKENIZER_FILES.stream())
          .collect(Collectors.toUnmodifiableSet());

  private final String location;
  private final Path folder;

  /** Null where the folder is the checkpoint's own. */
  private final TemporaryFolder fetched;

  private final TrainState state;

  Checkpoint(String location, Path folder, TemporaryFolder fetched, TrainState state) {
    this.location = location;
    this.folder = folder;
    this.fetched = fetched;
    this.state = state;
  }

  /** Where it was found, for messages. */
  public String location() {
    return location;
  }

  /** The local folder that holds its files: load the student from it as from any CLIP folder. */
  public Path folder() {
    return folder;
  }

  /** The heads' file; it holds no tensor when the run trained none. */
  public Path heads() {
    return folder.resolve(HEADS);
  }

  /** Where the run stood. */
  public TrainState state() {
    return state;
  }

  @Override
  public void close() {
    if (fetched == null) {
      return;
    }
    try {
      fetched.close();
    } catch (IOException e) {
      throw new UncheckedIOException(
          message("Cannot remove the temporary folder %s because of %s.", folder, e), e);
    }
  }
}
