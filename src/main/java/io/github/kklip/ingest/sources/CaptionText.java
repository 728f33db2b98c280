package io.github.kklip.ingest.sources;

import static io.github.kklip.config.Message.message;

import io.github.kklip.config.IngestSettings.CaptionSettings;
import io.github.kklip.ingest.sources.Member.Caption;
import java.nio.charset.StandardCharsets;
import java.text.Normalizer;
import java.util.regex.Pattern;

/** The form in which captions are stored, and which are taken. */
public record CaptionText(CaptionSettings settings) {
  private static final Pattern LINE_ENDS =
      Pattern.compile("\\r\\n|[\\t\\n\\x0B\\f\\r\\x85\\u2028\\u2029]");
  private static final Pattern CONTROLS = Pattern.compile("\\p{Cc}");

  /**
   * The caption as it is stored. Normalised, it is in Unicode's form NFC, with spaces for tabs and
   * ends of lines and without other control characters.
   */
  public String stored(Caption caption) {
    String text = caption.text();
    if (settings.normaliseCaptions() && !isPlain(text)) {
      text = Normalizer.normalize(text, Normalizer.Form.NFC);
      text = LINE_ENDS.matcher(text).replaceAll(" ");
      text = CONTROLS.matcher(text).replaceAll("");
    }
    return text.strip();
  }

  /** Why a caption is not taken; null when it is. */
  public Problem problem(Caption caption) {
    if (caption.problem() != null) {
      return caption.problem();
    }
    String text = stored(caption);
    // Half a surrogate pair, which JSON can name, has no UTF-8 form.
    if (!isPlain(text) && !StandardCharsets.UTF_8.newEncoder().canEncode(text)) {
      return MemberContent.encodingProblem();
    }
    int length = text.codePointCount(0, text.length());
    if (length < settings.minCaptionChars()) {
      return new Problem(
          Problem.CAPTION_TOO_SHORT,
          message("%s characters, at least %s are needed", length, settings.minCaptionChars()));
    }
    if (length > settings.maxCaptionChars()) {
      return new Problem(
          Problem.CAPTION_TOO_LONG,
          message("%s characters, at most %s are allowed", length, settings.maxCaptionChars()));
    }
    return null;
  }

  /** Printable ASCII, as most captions are, is stored as it is. */
  private static boolean isPlain(String text) {
    for (int i = 0; i < text.length(); i++) {
      if (text.charAt(i) < 0x20 || text.charAt(i) > 0x7E) {
        return false;
      }
    }
    return true;
  }
}
