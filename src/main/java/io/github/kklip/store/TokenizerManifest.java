package io.github.kklip.store;

import java.io.Serializable;
import java.util.List;

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

  /** The same tokenizer, whose rows are in these pair shards now. */
  public TokenizerManifest with(List<String> counted) {
    return new TokenizerManifest(settings, captions, words, vocabSize, counted, folder, files);
  }
}
