package io.github.kklip.comms;

import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.RankShards;
import io.github.kklip.config.ElementType;
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
  public Work allReduce(ByteBuffer buffer, ElementType type) {
    return done();
  }

  @Override
  public Work reduceScatter(ByteBuffer buffer, ElementType type, int... counts) {
    RankShards.of(buffer, type, counts, 1);
    return done();
  }

  @Override
  public Work allGather(ByteBuffer buffer, ElementType type, int... counts) {
    RankShards.of(buffer, type, counts, 1);
    return done();
  }

  @Override
  public Work broadcast(ByteBuffer buffer, int root) {
    RankShards.checkRoot(root, 1);
    return done();
  }

  @Override
  public Work barrier() {
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

  private Work done() {
    CollectiveException failure = aborted;
    return new Work() {
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
