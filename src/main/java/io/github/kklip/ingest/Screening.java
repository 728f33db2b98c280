package io.github.kklip.ingest;

import io.github.kklip.config.IngestSettings;
import io.github.kklip.config.Seeds;
import io.github.kklip.config.SplitMix64;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageHeader;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.Resample;
import io.github.kklip.image.RgbImage;
import io.github.kklip.ingest.Journal.Outcome;
import io.github.kklip.ingest.sources.CaptionText;
import io.github.kklip.ingest.sources.Member;
import io.github.kklip.ingest.sources.Member.Caption;
import io.github.kklip.ingest.sources.Member.Picture;
import io.github.kklip.ingest.sources.Problem;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.Reject;
import io.github.kklip.store.Split;
import java.io.IOException;
import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Function;
import java.util.function.Predicate;

/**
 * Decides of every candidate of a member whether it can be a pair. The caption is looked at first,
 * the image is decoded last and once.
 */
final class Screening {
  private final IngestSettings settings;
  private final CaptionText captions;
  private final double weight;
  private final SplitRule splits;
  private final Function<String, Split> known;
  private final Predicate<String> removed;
  private final Decoder decoder;
  private final Journal journal;

  /** Bytes to an image; a place for tests to put a worse one. */
  interface Decoder extends Serializable {
    RgbImage decode(byte[] bytes, long maxPixels) throws ImageRejectedException;
  }

  /**
   * @param weight of the source: rows for each pair
   * @param splits of the source
   * @param known the split in which the dataset has the pair of an id already, null if it has not:
   *     where it is the same or wins, the image needs no decoding
   * @param removed tells the ids of pairs and images that were taken down
   * @param journal what is known of images
   */
  Screening(
      IngestSettings settings,
      double weight,
      SplitRule splits,
      Function<String, Split> known,
      Predicate<String> removed,
      Decoder decoder,
      Journal journal) {
    this.settings = settings;
    this.captions = new CaptionText(settings.captions());
    this.weight = weight;
    this.splits = splits;
    this.known = known;
    this.removed = removed;
    this.decoder = decoder;
    this.journal = journal;
  }

  /** To be called when all members of the unit were screened. */
  void finish() throws IOException {
    journal.finish();
  }

  List<Candidate> screen(String source, Member member) {
    List<Candidate> candidates = new ArrayList<>();
    Picture picture = member.picture();
    if (picture != null && member.captions().isEmpty()) {
      candidates.add(
          reject(
              source,
              key(member, picture, null),
              new Problem(Problem.NO_CAPTION, "the image has no caption")));
    } else if (picture != null) {
      candidates.addAll(pairs(source, member, picture));
    }
    for (Problem problem : member.problems()) {
      candidates.add(reject(source, member.key(), problem));
    }
    return candidates;
  }

  private List<Candidate> pairs(String source, Member member, Picture picture) {
    List<Candidate> candidates = new ArrayList<>();
    CheckedMember checked = null;
    for (Caption caption : member.captions()) {
      String key = key(member, picture, caption);
      Problem problem = picture.problem() == null ? captions.problem(caption) : picture.problem();
      if (problem != null) {
        candidates.add(reject(source, key, problem));
        continue;
      }
      String text = captions.stored(caption);
      checked = checked == null ? new CheckedMember(picture.bytes()) : checked;
      String first = Identity.ofPair(checked.imageId, text);
      if (removed.test(checked.imageId) || removed.test(first)) {
        candidates.add(
            reject(source, key, new Problem(Problem.REMOVED, "it was taken down and stays away")));
        continue;
      }
      int copies = copies(checked.imageId);
      if (copies == 0) {
        candidates.add(
            reject(
                source,
                key,
                new Problem(Problem.SAMPLED_OUT, "the source has a weight of " + weight)));
      }
      for (int copy = 0; copy < copies; copy++) {
        String id = copy == 0 ? first : Identity.ofCopy(first, copy);
        candidates.add(pair(source, key, id, text, checked));
      }
    }
    return candidates;
  }

  private Candidate pair(String source, String key, String id, String text, CheckedMember checked) {
    Split there = known.apply(id);
    Split here = splits.of(checked.imageId);
    if (there == here) {
      return reject(
          source,
          key,
          new Problem(Problem.DUPLICATE, "the dataset has the same image and caption"));
    }
    if (there != null && there.compareTo(here) > 0) {
      return reject(source, key, Problem.inSplit(there));
    }
    checked.decode();
    return checked.outcome.problem() != null
        ? reject(source, key, checked.outcome.problem())
        : new Candidate.Accepted(
            new Pair(
                id,
                checked.imageId,
                text,
                checked.stored,
                checked.outcome.width(),
                checked.outcome.height(),
                source),
            key,
            checked.outcome.hash());
  }

  /** The whole part of the weight, and one more for a part of the images. */
  private int copies(String imageId) {
    int whole = (int) weight;
    double unit = new SplitMix64(Seeds.derive(0, "weight", Seeds.hash(imageId))).nextDouble();
    return unit < weight - whole ? whole + 1 : whole;
  }

  /** An image that is decoded when the first caption needs it. */
  private final class CheckedMember {
    final String imageId;
    byte[] stored;
    Outcome outcome;

    CheckedMember(byte[] bytes) {
      this.imageId = Identity.ofImage(bytes);
      this.stored = bytes;
    }

    void decode() {
      if (outcome != null) {
        return;
      }
      Outcome found = journal.find(imageId);
      // Bytes that are made anew are not in the journal.
      if (found != null && (found.problem() != null || settings.reencode().reencodeSide() == 0)) {
        outcome = found;
        return;
      }
      journal.begin(imageId);
      outcome = decoded();
      journal.end(imageId, outcome);
    }

    private Outcome decoded() {
      try {
        Problem problem = problemOf(ImageDecoder.probe(stored));
        if (problem != null) {
          return new Outcome(0, 0, 0, problem);
        }
        RgbImage image = decoder.decode(stored, settings.images().maxPixels());
        long hash = settings.images().nearDuplicateBits() < 0 ? 0 : Resample.perceptualHash(image);
        int side = settings.reencode().reencodeSide();
        if (side > 0 && Math.min(image.width(), image.height()) > side) {
          image = Resample.shortestSide(image, side);
          int longer = Math.max(image.width(), image.height());
          if (longer > settings.reencode().reencodeFormat().longestSide()) {
            String detail = "resized, it is longer than its format allows: " + longer + " pixels";
            return new Outcome(0, 0, 0, new Problem(ImageRejectedException.TOO_LARGE, detail));
          }
          stored =
              switch (settings.reencode().reencodeFormat()) {
                case JPEG -> Resample.jpeg(image, settings.reencode().reencodeQuality());
                case WEBP -> Resample.webp(image, settings.reencode().reencodeQuality());
              };
        }
        return new Outcome(image.width(), image.height(), hash, null);
      } catch (ImageRejectedException e) {
        return new Outcome(0, 0, 0, new Problem(e.reason(), e.detail()));
      }
    }
  }

  private Problem problemOf(ImageHeader header) {
    int shorter = Math.min(header.width(), header.height());
    int longer = Math.max(header.width(), header.height());
    String size = header.width() + "x" + header.height();
    if (header.pixels() > settings.images().maxPixels()) {
      return new Problem(
          Problem.IMAGE_TOO_LARGE,
          size + " pixels, at most " + settings.images().maxPixels() + " are allowed");
    }
    if (shorter < settings.images().minSide()) {
      return new Problem(
          Problem.IMAGE_TOO_SMALL,
          size + " pixels, the shorter side needs " + settings.images().minSide());
    }
    if (longer > settings.images().maxAspect() * shorter) {
      return new Problem(
          Problem.ASPECT_RATIO,
          String.format(
              Locale.ROOT,
              "%s pixels, the longer side may be %s times the shorter",
              size,
              settings.images().maxAspect()));
    }
    return null;
  }

  private static Candidate reject(String source, String key, Problem problem) {
    return new Candidate.Rejected(
        new Reject(source, key, problem.reason(), String.valueOf(problem.detail())));
  }

  /** The place inside the source: of the caption if it has one, of the picture, of the member. */
  private static String key(Member member, Picture picture, Caption caption) {
    String place = picture.name().isEmpty() ? member.key() : picture.name();
    return caption == null || caption.name().isEmpty() ? place : place + " " + caption.name();
  }
}
