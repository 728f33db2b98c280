package io.github.kklip.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class HistoryTest {
  @Test
  void readsTheCurves() {
    History history =
        History.parse(
            List.of(
                "{\"step\":10,\"loss\":3.5,\"losses\":{\"contrastive\":3.0,\"emb\":0.5}}",
                "{\"step\":20,\"loss\":2.0,\"losses\":{\"contrastive\":\"NaN\"}}"));
    assertThat(history.steps()).containsExactly(10, 20);
    assertThat(history.losses()).containsOnlyKeys("loss", "contrastive", "emb");
    assertThat(history.losses().get("loss")).containsExactly(3.5, 2);
    assertThat(history.losses().get("contrastive")).containsExactly(3, Double.NaN);
    assertThat(history.losses().get("emb")).containsExactly(0.5, Double.NaN);
  }

  @Test
  void refusesWhatIsNotJson() {
    assertThatThrownBy(() -> History.parse(List.of("{\"step\": 1")))
        .hasMessage("Cannot read metrics because a line is not JSON: {\"step\": 1");
  }
}
