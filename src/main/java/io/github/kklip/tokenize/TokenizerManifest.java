package io.github.kklip.tokenize;

import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Shard;
import java.util.List;

/**
 * What a tokenizer was trained with; written last, so that a folder that has it is whole.
 *
 * @param format version of this layout
 * @param captions captions counted, one for each training row
 * @param words different words in them
 * @param vocabSize ids in all; fewer than asked for when the captions have fewer pairs
 * @param shards the pair shards that were counted
 */
record TokenizerManifest(
    int format,
    ProcessingSettings settings,
    long captions,
    long words,
    int vocabSize,
    List<Shard> shards) {
  static final int FORMAT = 1;
  static final String FILE = "manifest.json";

  TokenizerManifest {
    shards = List.copyOf(shards);
  }
}
