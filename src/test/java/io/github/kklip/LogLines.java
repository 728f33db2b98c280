package io.github.kklip;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import org.apache.logging.log4j.Level;
import org.apache.logging.log4j.LogManager;
import org.apache.logging.log4j.core.LogEvent;
import org.apache.logging.log4j.core.Logger;
import org.apache.logging.log4j.core.appender.AbstractAppender;
import org.apache.logging.log4j.core.config.Configurator;
import org.apache.logging.log4j.core.config.Property;

/** What a class logs, from warnings upwards, until it is closed. */
public final class LogLines extends AbstractAppender implements AutoCloseable {
  private final String logger;
  private final Level before;
  private final List<String> lines = new CopyOnWriteArrayList<>();

  /**
   * @param logger the full name of the class, which need not be visible
   */
  public LogLines(String logger) {
    super("lines", null, null, false, Property.EMPTY_ARRAY);
    this.logger = logger;
    this.before = logger().getLevel();
    Configurator.setLevel(logger, Level.WARN);
    start();
    logger().addAppender(this);
  }

  private Logger logger() {
    return (Logger) LogManager.getLogger(logger);
  }

  /** The lines so far. */
  public List<String> lines() {
    return List.copyOf(lines);
  }

  @Override
  public void append(LogEvent event) {
    lines.add(event.getMessage().getFormattedMessage());
  }

  @Override
  public void close() {
    logger().removeAppender(this);
    Configurator.setLevel(logger, before);
    stop();
  }
}
