package io.github.kklip.jobs;

import java.util.List;
import java.util.Map;
import org.apache.spark.api.plugin.DriverPlugin;
import org.apache.spark.api.plugin.ExecutorPlugin;
import org.apache.spark.api.plugin.PluginContext;
import org.apache.spark.api.plugin.SparkPlugin;
import org.apache.spark.util.SignalUtils;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.runtime.AbstractFunction0;

/**
 * Executors of an embedded cluster end with their driver, not by a stop signal of their own. They
 * are in its process group, so that systemd, {@code timeout}, a lost terminal and {@code kill} of a
 * group signal them together with it. The driver then asks for the last checkpoint, for which they
 * are needed, and stops them when it is written. They end too when they have lost the driver.
 */
public final class EmbeddedExecutorPlugin implements SparkPlugin {
  private static final Logger LOG = LoggerFactory.getLogger(EmbeddedExecutorPlugin.class);

  static final List<String> SIGNALS = List.of("TERM", "INT", "HUP");

  @Override
  public DriverPlugin driverPlugin() {
    return null;
  }

  @Override
  public ExecutorPlugin executorPlugin() {
    return new IgnoreStopSignals();
  }

  private static final class IgnoreStopSignals implements ExecutorPlugin {
    @Override
    public void init(PluginContext context, Map<String, String> extra) {
      // In local mode the executor is the driver, which obeys.
      if (context.executorID().equals("driver")) {
        return;
      }
      for (String signal : SIGNALS) {
        SignalUtils.register(
            signal,
            new AbstractFunction0<Object>() {
              @Override
              public Object apply() {
                LOG.info("This executor ends with its driver, not by SIG{}", signal);
                return true;
              }
            });
      }
    }
  }
}
