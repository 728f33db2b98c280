package io.github.kklip.ingest;

import io.github.kklip.config.Settings;
import io.github.kklip.image.ImageDecoder;
import io.github.kklip.image.ImageHeader;
import io.github.kklip.image.ImageRejectedException;
import io.github.kklip.image.RgbImage;
import io.github.kklip.ingest.Member.Caption;
import io.github.kklip.ingest.Member.Picture;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Pair;
import io.github.kklip.store.ProcessingSettings;
import io.github.kklip.store.Reject;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeMap;
import java.util.function.Predicate;

/**
 * Decides of every candidate of a member whether it can be a pair. The caption is looked at first,
 * the image is decoded last and once.
 */
final class Screening {
  private final Settings.Ingest settings;
  private final Predicate<String> known;

  /**
   * @param known tells the ids of pairs that the dataset has already: their images need no decoding
   */
  Screening(Settings.Ingest settings, Predicate<String> known) {
    this.settings = settings;
    this.known = known;
  }

  /** The settings that decide what comes out of here, and which split it goes to. */
  static ProcessingSettings processing(Settings.Ingest settings) {
    TreeMap<String, String> values = new TreeMap<>();
    values.put("ingest.min-side", Integer.toString(settings.minSide()));
    values.put("ingest.max-pixels", Long.toString(settings.maxPixels()));
    values.put("ingest.max-bytes", Long.toString(settings.maxBytes()));
    values.put("ingest.max-aspect", Double.toString(settings.maxAspect()));
    values.put("ingest.min-caption-chars", Integer.toString(settings.minCaptionChars()));
    values.put("ingest.max-caption-chars", Integer.toString(settings.maxCaptionChars()));
    values.put("ingest.validation-fraction", Double.toString(settings.validationFraction()));
    return new ProcessingSettings(values);
  }

  List<Candidate> screen(String source, Member member) {
    List<Candidate> candidates = new ArrayList<>();
    if (member.ignored() > 0) {
      candidates.add(new Candidate.Ignored(member.ignored()));
    }
    for (Picture picture : member.pictures()) {
      if (member.captions().isEmpty()) {
        candidates.add(
            reject(
                source,
                key(member, picture, null),
                new Problem(Problem.NO_CAPTION, "the image has no caption")));
      } else {
        candidates.addAll(pairs(source, member, picture));
      }
    }
    for (Problem problem : member.problems()) {
      candidates.add(reject(source, member.key(), problem));
    }
    return candidates;
  }

  private List<Candidate> pairs(String source, Member member, Picture picture) {
    List<Candidate> candidates = new ArrayList<>();
    Checked checked = null;
    for (Caption caption : member.captions()) {
      String key = key(member, picture, caption);
      Problem problem = picture.problem() == null ? problemOf(caption) : picture.problem();
      if (problem != null) {
        candidates.add(reject(source, key, problem));
        continue;
      }
      String text = caption.text().strip();
      checked = checked == null ? new Checked(Identity.ofImage(picture.bytes())) : checked;
      String id = Identity.ofPair(checked.imageId, text);
      if (known.test(id)) {
        candidates.add(
            reject(
                source,
                key,
                new Problem(Problem.DUPLICATE, "the dataset has the same image and caption")));
        continue;
      }
      checked.decode(picture.bytes());
      candidates.add(
          checked.problem != null
              ? reject(source, key, checked.problem)
              : new Candidate.Accepted(
                  new Pair(
                      id,
                      checked.imageId,
                      text,
                      picture.bytes(),
                      checked.width,
                      checked.height,
                      source),
                  key));
    }
    return candidates;
  }

  private Problem problemOf(Caption caption) {
    if (caption.problem() != null) {
      return caption.problem();
    }
    String text = caption.text().strip();
    // Half a surrogate pair, which JSON can name, has no UTF-8 form.
    if (!StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      return Content.encodingProblem();
    }
    int length = text.codePointCount(0, text.length());
    if (length < settings.minCaptionChars()) {
      return new Problem(
          Problem.CAPTION_TOO_SHORT,
          length + " characters, at least " + settings.minCaptionChars() + " are needed");
    }
    if (length > settings.maxCaptionChars()) {
      return new Problem(
          Problem.CAPTION_TOO_LONG,
          length + " characters, at most " + settings.maxCaptionChars() + " are allowed");
    }
    return null;
  }

  /** An image that is decoded when the first caption needs it. */
  private final class Checked {
    final String imageId;
    int width;
    int height;
    Problem problem;

    Checked(String imageId) {
      this.imageId = imageId;
    }

    void decode(byte[] bytes) {
      if (width > 0 || problem != null) {
        return;
      }
      try {
        ImageHeader header = ImageDecoder.probe(bytes);
        problem = problemOf(header);
        if (problem == null) {
          RgbImage image = ImageDecoder.decode(bytes, settings.maxPixels());
          width = image.width();
          height = image.height();
        }
      } catch (ImageRejectedException e) {
        problem = new Problem(e.reason(), e.detail());
      }
    }
  }

  private Problem problemOf(ImageHeader header) {
    int shorter = Math.min(header.width(), header.height());
    int longer = Math.max(header.width(), header.height());
    String size = header.width() + "x" + header.height();
    if (header.pixels() > settings.maxPixels()) {
      return new Problem(
          Problem.IMAGE_TOO_LARGE,
          size + " pixels, at most " + settings.maxPixels() + " are allowed");
    }
    if (shorter < settings.minSide()) {
      return new Problem(
          Problem.IMAGE_TOO_SMALL, size + " pixels, the shorter side needs " + settings.minSide());
    }
    if (longer > settings.maxAspect() * shorter) {
      return new Problem(
          Problem.ASPECT_RATIO,
          String.format(
              Locale.ROOT,
              "%s pixels, the longer side may be %s times the shorter",
              size,
              settings.maxAspect()));
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
