package io.github.kklip.store.shards;

import io.github.kklip.store.HashedPair;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Split;
import java.io.Closeable;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.stream.Stream;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.Path;

/**
 * Writes one shard of pairs, in which an image with several captions stands once. Rows must come by
 * image.
 *
 * <p>A row group holds images of about as many captions, each image once in a dictionary: block p
 * of the group is the p-th caption of every image that has one. So a block holds no image twice,
 * and is a contiguous range of rows.
 *
 * <p>Who reads a block reads all images of its row group, and uses those that have a p-th caption.
 * A row group holds images of 1, of 2 to 3, of 4 to 7, of 8 to 15, or of {@value #MOST_CAPTIONS}
 * captions: all blocks together read each image less than twice as often as they use it. Captions
 * beyond the {@value #MOST_CAPTIONS}th stand with the image once more, in another row group.
 *
 * <p>The row groups that are begun hold {@value #HELD_BYTES} bytes and one image at the most.
 */
public final class PairWriter implements Closeable {
  /** Captions of an image in one row group at the most. */
  static final int MOST_CAPTIONS = 16;

  private static final long HELD_BYTES = 2 * RowGroupWriter.MAX_GROUP_BYTES;

  /** A row group that is begun: the captions of each image. */
  private static final class Group {
    private final List<List<HashedPair>> images = new ArrayList<>();
    private long bytes;

    private boolean has(String imageId) {
      return images.stream().anyMatch(captions -> imageId(captions).equals(imageId));
    }
  }

  private final ShardWriter<HashedPair> file;
  private final int imagesPerGroup;

  /** One for each power of two of captions. */
  private final List<Group> groups =
      Stream.generate(Group::new).limit(1 + log2(MOST_CAPTIONS)).toList();

  /** Captions of the image that came last. */
  private List<HashedPair> last = new ArrayList<>();

  private long rows;

  /**
   * Begins a file.
   *
   * @param split of all its pairs
   * @param hashes whether it holds perceptual hashes
   * @param imagesPerGroup images of a row group at most; 16 MiB end one as well
   */
  public PairWriter(
      Configuration configuration, Path path, Split split, boolean hashes, int imagesPerGroup)
      throws IOException {
    this.imagesPerGroup = imagesPerGroup;
    file = new ShardWriter<>(configuration, path, HashedPairFormat.of(split, hashes));
  }

  /** Takes the next row. Rows of one image share its first one's bytes. */
  public void write(HashedPair row) throws IOException {
    rows++;
    if (!last.isEmpty()) {
      if (last.size() == MOST_CAPTIONS || !imageId(last).equals(row.pair().imageId())) {
        add(last);
        last = new ArrayList<>();
      } else {
        last.add(new HashedPair(with(row.pair(), image(last)), row.hash()));
        return;
      }
    }
    last.add(row);
  }

  private static Pair with(Pair pair, byte[] image) {
    return new Pair(
        pair.id(),
        pair.imageId(),
        pair.caption(),
        image,
        pair.width(),
        pair.height(),
        pair.source());
  }

  private static String imageId(List<HashedPair> captions) {
    return captions.get(0).pair().imageId();
  }

  private static byte[] image(List<HashedPair> captions) {
    return captions.get(0).pair().image();
  }

  private static int log2(int captions) {
    return Integer.SIZE - 1 - Integer.numberOfLeadingZeros(captions);
  }

  private void add(List<HashedPair> captions) throws IOException {
    Group group = groups.get(log2(captions.size()));
    long bytes =
        image(captions).length
            + captions.stream().mapToLong(row -> row.pair().caption().length()).sum();
    if (group.images.size() == imagesPerGroup
        || group.bytes + bytes > RowGroupWriter.MAX_GROUP_BYTES
        || group.has(imageId(captions))) {
      end(group);
    }
    group.images.add(captions);
    group.bytes += bytes;
    if (groups.stream().mapToLong(held -> held.bytes).sum() > HELD_BYTES) {
      end(groups.stream().max(Comparator.comparingLong(held -> held.bytes)).orElseThrow());
    }
  }

  private void end(Group group) throws IOException {
    if (group.images.isEmpty()) {
      return;
    }
    List<List<HashedPair>> blocks = new ArrayList<>();
    for (List<HashedPair> captions : group.images) {
      for (int p = 0; p < captions.size(); p++) {
        if (p == blocks.size()) {
          blocks.add(new ArrayList<>());
        }
        blocks.get(p).add(captions.get(p));
      }
    }
    file.writeBlocks(blocks);
    group.images.clear();
    group.bytes = 0;
  }

  /** Rows that came so far. */
  public long rows() {
    return rows;
  }

  /** The blocks of the file after {@link #commit}, as in {@link io.github.kklip.store.Shard}. */
  public String blocks() {
    return file.blocks();
  }

  /** Publishes the file under a name that says its content. */
  public ShardWriter.Written commit() throws IOException {
    if (!last.isEmpty()) {
      add(last);
      last = new ArrayList<>();
    }
    for (Group group : groups) {
      end(group);
    }
    return file.commit();
  }

  @Override
  public void close() throws IOException {
    file.close();
  }
}
