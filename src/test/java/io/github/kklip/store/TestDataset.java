package io.github.kklip.store;

import io.github.kklip.store.DatasetManifest.Generation;
import io.github.kklip.store.publication.Json;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.ShardWriter;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.List;
import java.util.TreeMap;
import org.apache.hadoop.fs.Path;

/** Datasets that tests put together by hand. */
public final class TestDataset {
  private TestDataset() {}

  /** Writes a shard of pairs. */
  public static Shard pairs(
      DatasetFolder folder, Split split, int index, List<Pair> pairs, int rowsPerGroup)
      throws IOException {
    Path path = new Path(folder.pairs(), "1/" + Shard.stem(split, index) + ".parquet");
    try (ShardWriter<Pair> writer =
        new ShardWriter<>(folder.configuration(), path, PairFormat.ALL, rowsPerGroup)) {
      for (Pair pair : pairs) {
        writer.write(pair);
      }
      ShardWriter.Written written = writer.commit();
      return new Shard(
          split, index, pairs.size(), written.identity(), folder.inside(written.file()), "");
    }
  }

  /** A generation of these shards, all of whose candidates became pairs. */
  public static Generation generation(List<Shard> shards) {
    long pairs = shards.stream().mapToLong(Shard::rows).sum();
    return new Generation(
        pairs, pairs, 0, 0, new TreeMap<>(), List.of(), shards, List.of(), List.of());
  }

  /** Commits a dataset of these generations, which may be more than it had. */
  public static DatasetManifest commit(
      DatasetFolder folder, ProcessingSettings settings, List<Generation> generations)
      throws IOException {
    return Manifests.commit(
        folder,
        DatasetManifest.empty(settings),
        newest -> {
          DatasetManifest next = newest;
          for (Generation generation :
              generations.subList(newest.generations().size(), generations.size())) {
            next = next.with(generation);
          }
          return next;
        });
  }

  /** Commits embeddings. */
  public static void commit(DatasetFolder folder, String name, TeacherManifest teacher)
      throws IOException {
    Manifests.commit(folder, folder.requireManifest(), newest -> newest.with(name, teacher));
  }

  /** Commits labels. */
  public static void commit(DatasetFolder folder, String name, ConceptManifest concepts)
      throws IOException {
    Manifests.commit(folder, folder.requireManifest(), newest -> newest.with(name, concepts));
  }

  /** Commits a tokenizer. */
  public static void commit(DatasetFolder folder, TokenizerManifest tokenizer) throws IOException {
    Manifests.commit(folder, folder.requireManifest(), newest -> newest.with(tokenizer));
  }

  /** Changes the first place of a manifest that has this text; its digest fits again. */
  public static void replace(java.nio.file.Path manifest, String text, String by)
      throws IOException {
    String whole = Files.readString(manifest);
    String plain = whole.substring(0, whole.lastIndexOf(",\n  \"sha256\": ")) + "\n}\n";
    int found = plain.indexOf(text);
    String changed = plain.substring(0, found) + by + plain.substring(found + text.length());
    String rest = changed.substring(0, changed.length() - "\n}\n".length());
    String digest = Identity.ofBytes(changed.getBytes(StandardCharsets.UTF_8));
    Files.writeString(manifest, rest + ",\n  \"sha256\": \"" + digest + "\"\n}\n");
  }

  /** The bytes of the newest manifest. */
  public static byte[] newest(DatasetFolder folder) throws IOException {
    return Json.pretty(folder.requireManifest());
  }
}
