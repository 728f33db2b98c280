package io.github.kklip.progress;

import java.util.ArrayList;
import java.util.List;

/** Collects what the stages of the process tell. */
public final class ToldProgress implements AutoCloseable {
  private final List<String> told = new ArrayList<>();
  private final Progress.Listening listening = Progress.listen(this::take);

  private synchronized void take(Progress.Event event, Progress progress) {
    Reading reading = progress.reading();
    String stage = progress.name() + ", " + progress.unit();
    told.add(
        switch (event) {
          case BEGIN -> stage + ": begin";
          case COUNT -> stage + ": count";
          case DONE, STOPPED ->
              stage
                  + ": "
                  + event.name().toLowerCase(java.util.Locale.ROOT)
                  + " "
                  + reading.counts().done()
                  + " of "
                  + reading.total();
        });
  }

  /** In order, several counts one after the other as one. */
  public synchronized List<String> all() {
    List<String> all = new ArrayList<>();
    for (String line : told) {
      if (all.isEmpty() || !all.get(all.size() - 1).equals(line)) {
        all.add(line);
      }
    }
    return all;
  }

  @Override
  public void close() {
    listening.close();
  }
}
