package io.github.kklip.teacher;

import io.github.kklip.config.TeacherSettings;
import io.github.kklip.store.publication.LocalCopy;
import io.github.kklip.tensor.Torch;
import java.io.IOException;
import java.time.Duration;
import java.util.HashMap;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.apache.hadoop.conf.Configuration;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * One embedder for all tasks of a process that use the same teacher on the same device. The first
 * task opens it, the others wait for it; when no task has used it for some seconds, it is closed,
 * so that later stages have its memory.
 *
 * <pre>{@code
 * try (SharedEmbedder shared = SharedEmbedder.acquire(configuration, settings, identity, "cpu")) {
 *   shared.embedder().embed(...);
 * }
 * }</pre>
 */
public final class SharedEmbedder implements AutoCloseable {
  private static final Logger LOG = LoggerFactory.getLogger(SharedEmbedder.class);
  private static final Duration IDLE = Duration.ofSeconds(10);

  private record EmbedderKey(TeacherSettings settings, String identity, String device) {}

  /** An open teacher; guarded by the class's lock. */
  private static final class Open {
    private final LocalCopy files;
    private final CaptionEmbedder embedder;
    private int users;
    private long uses;

    Open(LocalCopy files, CaptionEmbedder embedder) {
      this.files = files;
      this.embedder = embedder;
    }
  }

  private static final Map<EmbedderKey, Open> OPEN = new HashMap<>();
  private static final ScheduledExecutorService CLOSER =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "closes idle teachers");
            thread.setDaemon(true);
            return thread;
          });

  private final EmbedderKey key;
  private final Open open;
  private boolean released;

  private SharedEmbedder(EmbedderKey key, Open open) {
    this.key = key;
    this.open = open;
  }

  /**
   * The embedder of these settings on this device; opened when no task has it.
   *
   * @param identity of the teacher's files
   * @param device {@code cpu} or {@code cuda:N}
   */
  public static SharedEmbedder acquire(
      Configuration configuration, TeacherSettings settings, String identity, String device)
      throws IOException {
    EmbedderKey key = new EmbedderKey(settings, identity, device);
    synchronized (OPEN) {
      Open open = OPEN.get(key);
      if (open == null) {
        open = open(configuration, key);
        OPEN.put(key, open);
      }
      open.users++;
      open.uses++;
      return new SharedEmbedder(key, open);
    }
  }

  private static Open open(Configuration configuration, EmbedderKey key) throws IOException {
    long start = System.nanoTime();
    // The weights of a remote teacher are not even copied when they do not fit.
    try (LocalCopy small =
        LocalCopy.of(configuration, key.settings.path(), TeacherFolder::isSmall)) {
      CaptionEmbedder.requireUsable(small.path(), key.settings, Torch.device(key.device));
    }
    LocalCopy files = LocalCopy.of(configuration, key.settings.path(), TeacherFolder::isNeeded);
    try {
      CaptionEmbedder embedder =
          CaptionEmbedder.open(files.path(), key.settings, Torch.device(key.device));
      LOG.info(
          "Opened the teacher {} on {} in {} ms",
          key.settings.path(),
          key.device,
          TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - start));
      return new Open(files, embedder);
    } catch (IOException | RuntimeException e) {
      files.close();
      throw e;
    }
  }

  public CaptionEmbedder embedder() {
    return open.embedder;
  }

  /** Gives the embedder back. */
  @Override
  public void close() {
    synchronized (OPEN) {
      if (released) {
        return;
      }
      released = true;
      open.users--;
      if (open.users == 0) {
        long uses = open.uses;
        var unused =
            CLOSER.schedule(() -> closeIfIdle(key, uses), IDLE.toMillis(), TimeUnit.MILLISECONDS);
      }
    }
  }

  private static void closeIfIdle(EmbedderKey key, long uses) {
    synchronized (OPEN) {
      Open open = OPEN.get(key);
      if (open == null || open.users > 0 || open.uses != uses) {
        return;
      }
      OPEN.remove(key);
      open.embedder.close();
      try {
        open.files.close();
      } catch (IOException e) {
        LOG.warn("Cannot remove the local copy of the teacher {}", key.settings.path(), e);
      }
    }
  }
}
