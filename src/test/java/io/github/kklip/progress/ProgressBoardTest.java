package io.github.kklip.progress;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** Lines as they are, at times that the test sets. */
class ProgressBoardTest {
  private final List<String> log = new ArrayList<>();
  private final ByteArrayOutputStream screen = new ByteArrayOutputStream();
  private long now = 5_000_000_000L;

  private final ProgressBoard plain = new ProgressBoard(() -> now, log::add, null);
  private final ProgressBoard terminal =
      new ProgressBoard(
          () -> now,
          log::add,
          new TerminalLine(new PrintStream(screen, true, StandardCharsets.UTF_8), 50));

  private void wait(ProgressBoard board, int seconds) {
    for (int second = 0; second < seconds; second++) {
      now += 1_000_000_000L;
      board.tick();
    }
  }

  @Test
  void theLogGetsALineAfterTenSecondsThenOneInThirtyAndTheEnd() {
    Progress progress = Progress.of("embed", "captions").total(500_000).begin(plain);
    progress.add(1000);
    wait(plain, 9);
    assertThat(log).isEmpty();
    wait(plain, 1);
    assertThat(log)
        .containsExactly("embed: 1,000 of 500,000 captions (0 %), 100 captions/s, 1:23:10 to go");
    progress.add(new Counts(9000, 0, 0, 0));
    wait(plain, 29);
    assertThat(log).hasSize(1);
    wait(plain, 1);
    assertThat(log.subList(1, log.size()))
        .containsExactly("embed: 10,000 of 500,000 captions (2 %), 250 captions/s, 0:32:40 to go");
    progress.add(490_000);
    progress.done();
    assertThat(log.subList(2, log.size()))
        .containsExactly("embed: 500,000 captions in 0:00:40, 12,500 captions/s");
    progress.close();
    wait(plain, 100);
    assertThat(log).hasSize(3);
  }

  @Test
  void aStageThatHasCountedNothingIsToldOfAfterItsInterval() {
    Progress progress = Progress.of("train", "steps").begin(plain);
    wait(plain, 29);
    assertThat(log).isEmpty();
    wait(plain, 1);
    assertThat(log).containsExactly("train: 0 steps");
    progress.close();
    assertThat(log.get(1)).isEqualTo("train: stopped at 0 steps after 0:00:30");
  }

  @Test
  void itemsRejectsWhatWasDoneBeforeAndNotesHaveTheirPlace() {
    Progress progress =
        Progress.of("ingest", "units")
            .total(40)
            .items("candidates")
            .every(Duration.ofSeconds(10))
            .begin(plain);
    progress.set(new Counts(20, 10, 0, 0));
    progress.add(new Counts(0, 0, 25, 3));
    progress.note("two sources");
    wait(plain, 10);
    assertThat(log)
        .containsExactly(
            "ingest: 20 of 40 units (50 %), 25 candidates, 3 rejected, 2.5 candidates/s, 0:00:20 to go, two sources");
    wait(plain, 10);
    assertThat(log).hasSize(2);
    progress.close();
    assertThat(log.get(2))
        .isEqualTo(
            "ingest: stopped at 20 of 40 units, 25 candidates, 3 rejected after 0:00:20, two sources");
  }

  @Test
  void anEndBeforeTheTotalSaysSoAndTasksThatRanTwiceDoNotExceedIt() {
    Progress merges = Progress.of("tokenizer", "merges").total(600).begin(plain);
    merges.add(510);
    merges.done();
    Progress labels = Progress.of("cluster", "labels").total(100).begin(plain);
    labels.add(130);
    now += 4_000_000_000L;
    labels.done();
    Progress skipping = Progress.of("train", "steps").rejects("skipped").begin(plain);
    skipping.set(new Reading(new Counts(7, 0, 0, 2), 9, "loss 1.5"));
    now += 1_000_000_000_000L;
    skipping.close();
    assertThat(log)
        .containsExactly(
            "tokenizer: 510 of 600 merges in 0.0 s",
            "cluster: 100 labels in 4.0 s, 25.0 labels/s",
            "train: stopped at 7 of 9 steps, 2 skipped after 0:16:40, loss 1.5");
  }

  @Test
  void aTerminalHasOneLineThatIsRewrittenAndKeepsTheLastOfEachStage() {
    Progress progress = Progress.of("embed", "captions").total(500_000).begin(terminal);
    assertThat(shown()).isEqualTo("\rembed: 0 of 500,000 captions (0 %)\u001b[K");
    progress.add(1000);
    assertThat(shown()).isEmpty();
    wait(terminal, 1);
    assertThat(shown())
        .as("no longer than the terminal is wide")
        .isEqualTo("\rembed: 1,000 of 500,000 captions (0 %), 1,000 cap\u001b[K");
    wait(terminal, 10);
    assertThat(log).hasSize(1);
    shown();
    terminal.tick();
    assertThat(shown()).as("nothing has changed").isEmpty();
    progress.add(499_000);
    progress.done();
    assertThat(shown())
        .isEqualTo("\rembed: 500,000 captions in 0:00:11, 45,455 captions/s\u001b[K\n");
    wait(terminal, 5);
    assertThat(shown()).isEmpty();
    assertThat(log).hasSize(2);
  }

  @Test
  void whatOthersPrintGoesAboveTheLine() {
    TerminalLine line = new TerminalLine(new PrintStream(screen, true, StandardCharsets.UTF_8), 80);
    PrintStream others = line.stream();
    others.println("before");
    line.show("half");
    others.println("warning");
    others.print("no end of line");
    line.show("whole");
    line.keep("kept");
    assertThat(shown())
        .isEqualTo(
            "before\n\rhalf\u001b[K\r\u001b[Kwarning\nno end of line\n\rwhole\u001b[K\rkept\u001b[K\n");
  }

  @Test
  void aTerminalOfUnknownWidthHasEightyColumns() {
    assertThat(TerminalLine.width("132")).isEqualTo(132);
    assertThat(TerminalLine.width("0")).isEqualTo(80);
    assertThat(TerminalLine.width("true")).isEqualTo(80);
  }

  @Test
  void withoutItsPropertyThereIsNoTerminal() {
    assertThat(System.getProperty("kklip.terminal")).isNull();
    assertThat(TerminalLine.ofProcess()).isNull();
  }

  private String shown() {
    String text = screen.toString(StandardCharsets.UTF_8).replace(System.lineSeparator(), "\n");
    screen.reset();
    return text;
  }
}
