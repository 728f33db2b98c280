package io.github.kklip.launch;

import io.github.kklip.comms.Collective;
import java.io.Serializable;

/**
 * What every rank does, on its executor. It fails with an exception; the launch tells the other
 * ranks. It may be started again after a failure of any rank.
 *
 * @param <R> serializable
 */
@FunctionalInterface
public interface RankBody<R> extends Serializable {
  R run(RankScope scope, Collective collective) throws Exception;
}
