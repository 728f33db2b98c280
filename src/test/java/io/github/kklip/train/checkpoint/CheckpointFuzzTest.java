package io.github.kklip.train.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import io.github.kklip.config.SplitMix64;
import io.github.kklip.store.Identity;
import io.github.kklip.store.Shard;
import io.github.kklip.store.Split;
import io.github.kklip.store.publication.Json;
import io.github.kklip.train.metrics.StepReport;
import io.github.kklip.train.plan.DerivedFiles;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.apache.hadoop.conf.Configuration;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A marker or a state that is not what was written is a torn checkpoint, and never an error. */
class CheckpointFuzzTest {
  private static final int ROUNDS = Integer.getInteger("kklip.fuzz.rounds", 2000);

  /** Values that take the place of others. */
  private static final List<String> VALUES =
      List.of(
          "null",
          "true",
          "-1",
          "0.5",
          "9223372036854775808",
          "1e400",
          "1e999999999",
          "9".repeat(2000),
          "\"\"",
          "\"..\"",
          "\"/etc/passwd\"",
          "[]",
          "{}",
          "[[]]",
          "{\"a\": null}",
          "[".repeat(100_000),
          "{\"a\":".repeat(2000),
          "\"" + "x".repeat(100_000) + "\"",
          "NaN",
          "\"\\ud800\"");

  @TempDir Path output;
  private CheckpointStore store;
  private Path newest;

  private static TrainState state(long step) {
    StepReport last =
        new StepReport(
            step, 20, 0.5, 1.25, new TreeMap<>(Map.of("emb", 1.25)), 2.6, 1e-3, 3, 1, 99.5, 0.01);
    return new TrainState(
        TrainState.FORMAT,
        step,
        step,
        0,
        0,
        false,
        last,
        new TreeMap<>(Map.of("seed", "7")),
        new TreeMap<>(Map.of("ranks", "2")),
        List.of(new Shard(Split.TRAIN, 0, 2048, "ab")),
        new DerivedFiles(
            new TreeMap<>(Map.of("ab", "teachers/t/ab.parquet")), new TreeMap<>(), ""));
  }

  @BeforeEach
  void writeTwo() throws IOException {
    store = new CheckpointStore(output.toString(), new Configuration(false));
    store.begin(() -> {});
    for (long step = 1; step <= 2; step++) {
      byte[] json = Json.pretty(state(step));
      newest =
          Path.of(
              URI.create(
                  store.write(
                      step,
                      Map.of(
                          Checkpoint.MODEL, out -> out.write(1),
                          Checkpoint.OPTIMIZER, out -> out.write(2),
                          Checkpoint.STATE, out -> out.write(json)),
                      9,
                      () -> {})));
    }
  }

  /** Bits flipped, cut off, or a value or a field in another's place. */
  private static String mutated(String good, SplitMix64 random) {
    String text = good;
    for (int change = random.nextInt(3); change >= 0 && !text.isEmpty(); change--) {
      int at = random.nextInt(text.length());
      switch (random.nextInt(5)) {
        case 0 -> text = text.substring(0, at);
        case 1 ->
            text =
                text.substring(0, at)
                    + (char) (text.charAt(at) ^ (1 << random.nextInt(7)))
                    + text.substring(at + 1);
        case 2 -> {
          // The value after a colon.
          int colon = text.indexOf(": ", at);
          int end = colon < 0 ? -1 : text.indexOf('\n', colon);
          if (end > 0) {
            String value = VALUES.get(random.nextInt(VALUES.size()));
            text = text.substring(0, colon + 2) + value + text.substring(end);
          }
        }
        case 3 -> {
          // A line twice: a repeated field.
          int start = text.lastIndexOf('\n', at) + 1;
          int end = text.indexOf('\n', at);
          if (end > 0) {
            text = text.substring(0, end + 1) + text.substring(start);
          }
        }
        default -> text = VALUES.get(random.nextInt(VALUES.size())) + text.substring(at);
      }
    }
    return text;
  }

  /** What is found is the mutated one where it still says the same, and else the one before. */
  private boolean isTorn(long seed, String text) {
    try (Checkpoint found = store.newest(true).orElseThrow()) {
      assertThat(found.state().step()).isNotNegative();
      return !found.folder().equals(newest);
    } catch (IOException | RuntimeException | Error e) {
      return fail("seed " + seed + ": " + text.substring(0, Math.min(400, text.length())), e);
    }
  }

  @Test
  void markers() throws IOException {
    Path marker = newest.resolve(CheckpointStore.MARKER);
    String good = Files.readString(marker);
    int torn = 0;
    for (int seed = 0; seed < ROUNDS; seed++) {
      String text = mutated(good, new SplitMix64(seed));
      Files.writeString(marker, text, StandardCharsets.ISO_8859_1);
      if (isTorn(seed, text)) {
        torn++;
      } else {
        CheckpointMarker said = Json.parse(text, CheckpointMarker.class);
        assertThat(said.files())
            .containsAllEntriesOf(Json.parse(good, CheckpointMarker.class).files());
      }
    }
    assertThat(torn).isBetween(ROUNDS / 2, ROUNDS - 1);
    Files.writeString(marker, good);
    assertThat(isTorn(-1, good)).isFalse();
  }

  @Test
  void statesThatTheirMarkerLists() throws IOException {
    Path marker = newest.resolve(CheckpointStore.MARKER);
    CheckpointMarker said = Json.parse(Files.readString(marker), CheckpointMarker.class);
    Path state = newest.resolve(Checkpoint.STATE);
    String good = Files.readString(state);
    int torn = 0;
    for (int seed = 0; seed < ROUNDS; seed++) {
      String text = mutated(good, new SplitMix64(seed));
      byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
      Files.write(state, bytes);
      said.files()
          .put(
              Checkpoint.STATE,
              new CheckpointMarker.FileEntry(bytes.length, Identity.ofBytes(bytes)));
      Files.write(marker, Json.pretty(said));
      torn += isTorn(seed, text) ? 1 : 0;
      try {
        assertThat(CheckpointStore.newestState(output.toString(), new Configuration(false)))
            .isPresent();
      } catch (IOException declared) {
        assertThat(declared).hasMessageContaining("because state.json ");
      }
    }
    assertThat(torn).isBetween(ROUNDS / 2, ROUNDS - 1);
  }

  /** With a heap of 3 GB and 2 GB for one array, a file of 5 GB can only be read in part. */
  @Test
  void whatIsTooLongIsNotRead() throws IOException {
    String good = Files.readString(newest.resolve(CheckpointStore.MARKER));
    for (String name : List.of(CheckpointStore.MARKER, Checkpoint.STATE)) {
      try (RandomAccessFile file = new RandomAccessFile(newest.resolve(name).toFile(), "rw")) {
        file.setLength(5L << 30);
      }
      if (name.equals(Checkpoint.STATE)) {
        String size = "\"bytes\": " + Json.pretty(state(2)).length;
        assertThat(good).contains(size);
        Files.writeString(
            newest.resolve(CheckpointStore.MARKER), good.replace(size, "\"bytes\": " + (5L << 30)));
      }
      assertThat(isTorn(0, name)).isTrue();
    }
  }
}
