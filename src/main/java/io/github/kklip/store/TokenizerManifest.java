package io.github.kklip.store;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.ModelLimits;
import io.github.kklip.store.publication.Digests;
import io.github.kklip.store.publication.SmallFile;
import io.github.kklip.store.publication.Storage;
import java.io.IOException;
import java.io.InputStream;
import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import org.apache.hadoop.fs.Path;

/**
 * What the student's tokenizer was trained with.
 *
 * @param captions captions counted, one for each training row
 * @param words different words in them
 * @param vocabSize ids in all; fewer than asked for when the captions have fewer pairs
 * @param shards identities of the pair shards that were counted
 * @param folder inside the dataset's folder
 * @param files inside the dataset's folder
 */
public record TokenizerManifest(
    ProcessingSettings settings,
    long captions,
    long words,
    int vocabSize,
    List<String> shards,
    String folder,
    List<String> files)
    implements Serializable {
  public TokenizerManifest {
    shards = List.copyOf(shards);
    files = List.copyOf(files);
  }

  /** The name of the folder of these files: it says their names and contents. */
  public static String folder(Map<String, byte[]> files) {
    SortedMap<String, String> digests = new TreeMap<>();
    files.forEach((name, bytes) -> digests.put(name, Digests.of(bytes)));
    return Identity.ofSettings(digests);
  }

  /**
   * Reads all files, and refuses others than those that were made. Those of format 1 stand in a
   * folder whose name says nothing.
   */
  void check(DatasetFolder dataset) throws IOException {
    Path place = dataset.file(folder);
    Map<String, byte[]> contents = new TreeMap<>();
    for (String name : files) {
      Path file = dataset.file(name);
      try (InputStream in = Storage.of(dataset.configuration(), file).open(file)) {
        contents.put(
            file.getName(), SmallFile.read(in, file.toString(), ModelLimits.TOKENIZER_BYTES));
      }
    }
    if (!place.equals(dataset.tokenizers()) && !place.getName().equals(folder(contents))) {
      throw new IOException(
          message(
              "Cannot use the tokenizer %s because its files, %s, are not those that the name of the folder says. One of them is damaged: bring the folder back from a copy.",
              place, contents.keySet()));
    }
  }

  /** The same tokenizer, whose rows are in these pair shards now. */
  public TokenizerManifest with(List<String> counted) {
    return new TokenizerManifest(settings, captions, words, vocabSize, counted, folder, files);
  }
}
