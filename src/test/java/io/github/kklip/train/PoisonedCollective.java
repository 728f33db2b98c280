package io.github.kklip.train;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Work;
import io.github.kklip.config.ElementType;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** A rank whose own gradient has a NaN in some steps, before it meets those of the others. */
final class PoisonedCollective implements Collective {
  private final Collective real;
  private boolean poisoned;

  PoisonedCollective(Collective real) {
    this.real = real;
  }

  /** The next gradient that is summed is not a number. */
  void poison() {
    poisoned = true;
  }

  private void spoil(ByteBuffer buffer, ElementType type) {
    if (poisoned && type == ElementType.FLOAT32) {
      poisoned = false;
      ByteBuffer own = buffer.duplicate().order(ByteOrder.nativeOrder());
      own.putFloat(own.position(), Float.NaN);
    }
  }

  @Override
  public Work allReduce(ByteBuffer buffer, ElementType type) {
    spoil(buffer, type);
    return real.allReduce(buffer, type);
  }

  @Override
  public int rank() {
    return real.rank();
  }

  @Override
  public int size() {
    return real.size();
  }

  @Override
  public String transport() {
    return real.transport();
  }

  @Override
  public Work reduceScatter(ByteBuffer buffer, ElementType type, int... counts) {
    return real.reduceScatter(buffer, type, counts);
  }

  @Override
  public Work allGather(ByteBuffer buffer, ElementType type, int... counts) {
    return real.allGather(buffer, type, counts);
  }

  @Override
  public Work broadcast(ByteBuffer buffer, int root) {
    return real.broadcast(buffer, root);
  }

  @Override
  public Work barrier() {
    return real.barrier();
  }

  @Override
  public void check() {
    real.check();
  }

  @Override
  public void abort(Throwable cause) {
    real.abort(cause);
  }

  @Override
  public void close() {
    real.close();
  }
}
