package io.github.kklip.store;

import io.github.kklip.store.publication.Digests;
import java.io.Serializable;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

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

  /** The same tokenizer, whose rows are in these pair shards now. */
  public TokenizerManifest with(List<String> counted) {
    return new TokenizerManifest(settings, captions, words, vocabSize, counted, folder, files);
  }
}
