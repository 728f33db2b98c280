package io.github.kklip.jobs;

import static org.assertj.core.api.Assertions.assertThat;

import org.apache.spark.util.Utils;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import scala.jdk.javaapi.CollectionConverters;

class SparkSessionsTest {
  @ParameterizedTest
  @ValueSource(strings = {"-Dfile=/a/b", "-Dfile=/a b/c  d", "-Dfile=/it's/\"so\"/back\\slash\\"})
  void sparkTakesAQuotedOptionForOne(String option) {
    assertThat(CollectionConverters.asJava(Utils.splitCommandString(SparkSessions.quoted(option))))
        .containsExactly(option);
  }
}
