package io.github.kklip.config;

import static io.github.kklip.config.Message.message;

import java.util.Collection;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.apache.commons.text.similarity.LevenshteinDistance;

/** Finds what a mistyped key was meant to be. */
final class KeyHint {
  /** What open_clip, transformers and others call a setting. */
  private static final Map<String, String> SYNONYMS =
      Map.ofEntries(
          Map.entry("learning-rate", "train.lr"),
          Map.entry("wd", "train.weight-decay"),
          Map.entry("warmup", "train.warmup-steps"),
          Map.entry("num-warmup-steps", "train.warmup-steps"),
          Map.entry("batch-size", "train.batch"),
          Map.entry("per-device-train-batch-size", "train.batch"),
          Map.entry("accum-freq", "train.micro-batch"),
          Map.entry("gradient-accumulation-steps", "train.micro-batch"),
          Map.entry("grad-checkpointing", "train.recompute"),
          Map.entry("gradient-checkpointing", "train.recompute"),
          Map.entry("num-train-epochs", "train.epochs"),
          Map.entry("max-steps", "train.steps"),
          Map.entry("bf16", "train.precision"),
          Map.entry("fp16", "train.precision"),
          Map.entry("fp32", "train.precision"),
          Map.entry("amp", "train.precision"),
          Map.entry("mixed-precision", "train.precision"),
          Map.entry("adam-beta1", "train.beta1"),
          Map.entry("adam-beta2", "train.beta2"),
          Map.entry("adam-epsilon", "train.eps"),
          Map.entry("epsilon", "train.eps"),
          Map.entry("grad-clip-norm", "train.clip-norm"),
          Map.entry("max-grad-norm", "train.clip-norm"),
          Map.entry("alpha", "train.loss.emb"),
          Map.entry("beta", "train.loss.concept"),
          Map.entry("gamma", "train.loss.contrastive"),
          Map.entry("save-steps", "train.checkpoint.every-steps"),
          Map.entry("save-frequency", "train.checkpoint.every-steps"),
          Map.entry("save-total-limit", "train.checkpoint.keep"),
          Map.entry("log-every-n-steps", "train.log-every-steps"),
          Map.entry("logging-steps", "train.log-every-steps"),
          Map.entry("workers", "train.loader-threads"),
          Map.entry("num-workers", "train.loader-threads"),
          Map.entry("dataloader-num-workers", "train.loader-threads"),
          Map.entry("world-size", "train.ranks"),
          Map.entry("nproc-per-node", "train.ranks"),
          Map.entry("output-dir", "train.output"),
          Map.entry("logs", "train.output"),
          Map.entry("pretrained", "student.init"),
          Map.entry("model-name-or-path", "student.init"),
          Map.entry("train-data", "ingest.sources"),
          Map.entry("data", "ingest.sources"),
          Map.entry("csv-img-key", "ingest.sources"),
          Map.entry("csv-caption-key", "ingest.sources"),
          Map.entry("num-clusters", "concepts.k"),
          Map.entry("n-clusters", "concepts.k"),
          Map.entry("clusters", "concepts.k"),
          Map.entry("torch-dtype", "teacher.dtype"),
          Map.entry("max-seq-length", "teacher.max-length"),
          Map.entry("zeroshot", "evaluate.zero-shot"),
          Map.entry("imagenet-val", "evaluate.zero-shot"));

  private KeyHint() {}

  /** The message for a key that is none of {@code known}, all relative to {@code prefix}. */
  static String unknown(String prefix, String key, Collection<String> known) {
    String hyphened = key.replaceAll("([a-z])([A-Z])", "$1-$2").replace('_', '-');
    List<String> meant = meant(hyphened.toLowerCase(Locale.ROOT), known);
    String hint =
        meant.isEmpty()
            ? ""
            : message(
                " Did you mean %s?",
                String.join(" or ", meant.stream().map(m -> prefix + m).toList()));
    return message("Cannot use the setting %s%s: there is none of that name.%s", prefix, key, hint);
  }

  /** The keys whose last part is near, those in a section of a near name alone where there are. */
  private static List<String> meant(String key, Collection<String> known) {
    String name = last(key);
    String synonym =
        SYNONYMS.entrySet().stream()
            .filter(entry -> unhyphened(entry.getKey()).equals(unhyphened(name)))
            .map(Map.Entry::getValue)
            .findFirst()
            .orElse(null);
    int least = known.stream().mapToInt(k -> distance(name, last(k))).min().orElse(0);
    if (synonym != null && least > 0) {
      return known.contains(synonym) ? List.of(synonym) : List.of();
    }
    // A third of the letters may be wrong, so that short names are near only to themselves.
    List<String> near =
        known.stream()
            .filter(k -> distance(name, last(k)) == least && 3 * least <= name.length())
            .toList();
    int section = near.stream().mapToInt(k -> distance(key, k)).min().orElse(0);
    return near.stream()
        .filter(k -> distance(key, k) == section)
        .sorted(Comparator.naturalOrder())
        .toList();
  }

  private static String unhyphened(String name) {
    return name.replace("-", "");
  }

  private static String last(String key) {
    return key.substring(key.lastIndexOf('.') + 1);
  }

  private static int distance(String a, String b) {
    return LevenshteinDistance.getDefaultInstance().apply(a, b);
  }
}
