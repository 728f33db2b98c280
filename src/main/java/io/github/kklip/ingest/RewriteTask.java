package io.github.kklip.ingest;

import io.github.kklip.store.ConceptManifest;
import io.github.kklip.store.DatasetFolder;
import io.github.kklip.store.DatasetManifest;
import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Label;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Shard;
import io.github.kklip.store.TeacherManifest;
import io.github.kklip.store.Vector;
import io.github.kklip.store.publication.PortableConfiguration;
import io.github.kklip.store.shards.FollowingRows;
import io.github.kklip.store.shards.HashedPairFormat;
import io.github.kklip.store.shards.LabelFormat;
import io.github.kklip.store.shards.PairFormat;
import io.github.kklip.store.shards.PairWriter;
import io.github.kklip.store.shards.RejectFormat;
import io.github.kklip.store.shards.RowFormat;
import io.github.kklip.store.shards.ShardReader;
import io.github.kklip.store.shards.ShardWriter;
import io.github.kklip.store.shards.VectorFormat;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.function.Function;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Writes a shard and what follows it anew without the rows that leave it. Vectors and labels are
 * copied.
 *
 * @param generation of the shard
 * @param imagesPerGroup images of a row group at most
 */
public record RewriteTask(
    PortableConfiguration hadoop,
    String root,
    DatasetManifest dataset,
    int generation,
    int imagesPerGroup,
    Shard shard)
    implements Serializable {

  /** Tells which rows leave. */
  @FunctionalInterface
  public interface Leaving extends Serializable {
    /** The reject that a row becomes; null for a row that stays. */
    Reject reject(Shard shard, Pair row);
  }

  /**
   * What was written. All files are inside the dataset's folder.
   *
   * @param shard without rows when none are left; then nothing follows it
   * @param rejectFile what left, without captions
   * @param bySource rows that left, by the file that they came from
   * @param reasons rows that left, by the reason
   * @param teachers embeddings by name
   * @param concepts labels by name
   */
  public record Rewritten(
      Shard shard,
      String rejectFile,
      SortedMap<String, Long> bySource,
      SortedMap<String, Long> reasons,
      SortedMap<String, String> teachers,
      SortedMap<String, String> concepts)
      implements Serializable {
    /** Rows that left. */
    public long left() {
      return bySource.values().stream().mapToLong(Long::longValue).sum();
    }
  }

  Rewritten write(Leaving leaving) throws IOException {
    Configuration configuration = hadoop.get();
    DatasetFolder folder = new DatasetFolder(new Path(root), configuration);
    return HashedPairFormat.isIn(configuration, folder.pairs(shard))
        ? write(folder, leaving, HashedPairFormat.ALL, true, row -> row)
        : write(folder, leaving, PairFormat.ALL, false, pair -> new HashedPair(pair, 0));
  }

  private <T> Rewritten write(
      DatasetFolder folder,
      Leaving leaving,
      RowFormat<T> format,
      boolean hashes,
      Function<T, HashedPair> of)
      throws IOException {
    Configuration configuration = folder.configuration();
    SortedMap<String, Long> bySource = new TreeMap<>();
    SortedMap<String, Long> reasons = new TreeMap<>();
    Shard left;
    String rejectFile;
    try (ShardReader<T> reader = ShardReader.open(configuration, folder.pairs(shard), format);
        PairWriter pairs =
            new PairWriter(
                configuration,
                folder.file(dataset.pairsFolder() + "/" + shard.fileName()),
                shard.split(),
                hashes,
                imagesPerGroup);
        ShardWriter<Reject> rejects =
            new ShardWriter<>(
                configuration,
                folder.file(
                    String.format(Locale.ROOT, "rejects/%05d-%s", generation, shard.fileName())),
                new RejectFormat(),
                RejectFormat.ROWS_PER_GROUP)) {
      for (int group = 0; group < reader.rowGroups(); group++) {
        Map<String, List<HashedPair>> byImage = new LinkedHashMap<>();
        for (T stored : reader.readGroup(group)) {
          HashedPair row = of.apply(stored);
          Pair pair = row.pair();
          Reject reject = leaving.reject(shard, pair);
          if (reject != null) {
            bySource.merge(pair.source(), 1L, Long::sum);
            reasons.merge(reject.reason(), 1L, Long::sum);
            rejects.write(reject);
          } else {
            byImage.computeIfAbsent(pair.imageId(), image -> new ArrayList<>()).add(row);
          }
        }
        for (List<HashedPair> captions : byImage.values()) {
          for (HashedPair row : captions) {
            pairs.write(row);
          }
        }
      }
      rejectFile = folder.inside(rejects.commit().file());
      if (pairs.rows() == 0) {
        left = new Shard(shard.split(), shard.index(), 0, "", "", "");
      } else {
        ShardWriter.Written written = pairs.commit();
        left =
            new Shard(
                shard.split(),
                shard.index(),
                pairs.rows(),
                written.identity(),
                folder.inside(written.file()),
                pairs.blocks());
      }
    }
    return new Rewritten(
        left, rejectFile, bySource, reasons, teachers(folder, left), concepts(folder, left));
  }

  private SortedMap<String, String> teachers(DatasetFolder folder, Shard left) throws IOException {
    SortedMap<String, String> files = new TreeMap<>();
    for (Map.Entry<String, TeacherManifest> entry : dataset.teachers().entrySet()) {
      TeacherManifest teacher = entry.getValue();
      if (left.rows() > 0 && teacher.contains(shard)) {
        String made = teacher.settings().digest();
        Map<String, Vector> rows =
            FollowingRows.read(
                folder.configuration(),
                folder.file(teacher.files().get(shard.identity())),
                VectorFormat.AS_STORED,
                shard,
                made);
        files.put(
            entry.getKey(),
            folder.inside(
                FollowingRows.write(
                    folder.configuration(),
                    new Path(folder.teacher(entry.getKey(), teacher.settings()), left.fileName()),
                    new VectorFormat(teacher.storage(), teacher.dimension()),
                    left,
                    folder.pairs(left),
                    made,
                    rows)));
      }
    }
    return files;
  }

  private SortedMap<String, String> concepts(DatasetFolder folder, Shard left) throws IOException {
    SortedMap<String, String> files = new TreeMap<>();
    for (Map.Entry<String, ConceptManifest> entry : dataset.concepts().entrySet()) {
      ConceptManifest labels = entry.getValue();
      if (left.rows() > 0 && labels.contains(shard)) {
        Map<String, Label> rows =
            FollowingRows.read(
                folder.configuration(),
                folder.file(labels.files().get(shard.identity())),
                new LabelFormat(),
                shard,
                labels.made());
        files.put(
            entry.getKey(),
            folder.inside(
                FollowingRows.write(
                    folder.configuration(),
                    new Path(folder.concepts(entry.getKey(), labels), left.fileName()),
                    new LabelFormat(),
                    left,
                    folder.pairs(left),
                    labels.made(),
                    rows)));
      }
    }
    return files;
  }
}
