package io.github.kklip.comms;

import java.nio.ByteBuffer;

/** The collective of a single rank: every sum is its own, and nothing is sent. */
public final class SoloCollective implements Collective {
  private volatile CollectiveException aborted;

  @Override
  public int rank() {
    return 0;
  }

  @Override
  public int size() {
    return 1;
  }

  @Override
  public String transport() {
    return "none";
  }

  @Override
  public Pending allReduce(ByteBuffer buffer, ElementType type) {
    return done();
  }

  @Override
  public Pending reduceScatter(ByteBuffer buffer, ElementType type, int... counts) {
    Parts.of(buffer, type, counts, 1);
    return done();
  }

  @Override
  public Pending allGather(ByteBuffer buffer, ElementType type, int... counts) {
    Parts.of(buffer, type, counts, 1);
    return done();
  }

  @Override
  public Pending broadcast(ByteBuffer buffer, int root) {
    Parts.checkRoot(root, 1);
    return done();
  }

  @Override
  public Pending barrier() {
    return done();
  }

  @Override
  public void check() {
    done().await();
  }

  @Override
  public void abort(Throwable cause) {
    aborted =
        CollectiveException.primary(
            "Cannot go on because this rank was aborted: " + cause + ".", cause);
  }

  @Override
  public void close() {}

  private Pending done() {
    CollectiveException failure = aborted;
    return new Pending() {
      @Override
      public void await() {
        if (failure != null) {
          throw failure;
        }
      }

      @Override
      public boolean isDone() {
        return true;
      }
    };
  }
}
