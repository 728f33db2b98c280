package io.github.kklip.launch;

import static io.github.kklip.config.Message.message;

import io.github.kklip.comms.Collective;
import io.github.kklip.comms.Communicator;
import io.github.kklip.comms.TransportOptions;
import io.github.kklip.comms.tcp.Peer;
import io.github.kklip.comms.tcp.RingListener;
import io.github.kklip.comms.transport.CollectiveException;
import io.github.kklip.comms.transport.Timeouts;
import io.github.kklip.config.SettingsException;
import io.github.kklip.tasks.TaskPlace;
import java.io.IOException;
import java.io.Serializable;
import java.net.InetAddress;
import java.net.NetworkInterface;
import java.nio.charset.StandardCharsets;
import java.security.GeneralSecurityException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import javax.crypto.Mac;
import javax.crypto.spec.SecretKeySpec;
import org.apache.spark.BarrierTaskContext;
import org.apache.spark.SparkEnv;
import scala.collection.Iterator;
import scala.runtime.AbstractFunction1;

/** One rank, as a task of a barrier stage: meets the others, runs the body, and parts. */
final class RankTask<R>
    extends AbstractFunction1<Iterator<Integer>, Iterator<RankTask.RankResult<R>>>
    implements Serializable {
  private static final long serialVersionUID = 1L;

  /** Tells processes apart, also on one host. */
  private static final String PROCESS = UUID.randomUUID().toString();

  /** How long a rank waits to be interrupted when another one has failed first. */
  private static final Duration HEARING = Duration.ofSeconds(5);

  /** What a rank returned. */
  record RankResult<R>(int rank, R value) implements Serializable {}

  /** What ranks tell each other before they are connected. */
  private record Address(Peer peer, String process, String device) {
    String encode() {
      return String.join("\t", peer.host(), Integer.toString(peer.port()), process, device);
    }

    static Address decode(String text) {
      String[] parts = text.split("\t", 4);
      return new Address(new Peer(parts[0], Integer.parseInt(parts[1])), parts[2], parts[3]);
    }
  }

  private final byte[] secret;
  private final Timeouts timeouts;
  private final TransportOptions options;
  private final int port;
  private final int threads;
  private final Reports reports;
  private final RankBody<R> body;

  RankTask(
      byte[] secret,
      Timeouts timeouts,
      TransportOptions options,
      int port,
      int threads,
      Reports reports,
      RankBody<R> body) {
    this.secret = secret;
    this.timeouts = timeouts;
    this.options = options;
    this.port = port;
    this.threads = threads;
    this.reports = reports;
    this.body = body;
  }

  @Override
  public Iterator<RankResult<R>> apply(Iterator<Integer> partition) {
    BarrierTaskContext context = BarrierTaskContext.get();
    try {
      return scala.collection.Iterator$.MODULE$.single(
          new RankResult<>(context.partitionId(), run(context)));
    } catch (RuntimeException e) {
      throw e;
    } catch (Exception e) {
      throw new IllegalStateException(e.toString(), e);
    }
  }

  private R run(BarrierTaskContext context) throws Exception {
    int rank = context.partitionId();
    TaskPlace place = TaskPlace.of(context, threads);
    String host = SparkEnv.get().blockManager().blockManagerId().host();
    try (RingListener listener = RingListener.open(bindAddress(host), port)) {
      Address self = new Address(new Peer(host, listener.port()), PROCESS, place.device());
      List<Address> all =
          Arrays.stream(context.allGather(self.encode())).map(Address::decode).toList();
      refuseSharing(all);
      List<Peer> peers = all.stream().map(Address::peer).toList();
      try (Collective collective =
          Communicator.connect(
              listener,
              rank,
              peers,
              secretOf(context.stageAttemptNumber()),
              timeouts,
              options.withGpu(place.gpu()))) {
        CountDownLatch ended = watchForKill(context, collective);
        try {
          return body.run(
              new RankScope(rank, all.size(), place, context.stageAttemptNumber(), reports),
              collective);
        } catch (Throwable e) {
          collective.abort(e);
          letTheCauseSpeakFirst(e);
          throw e;
        } finally {
          ended.countDown();
        }
      }
    }
  }

  /**
   * Spark ends the stage at the first failure that it hears of, and interrupts the other ranks: one
   * that only follows from another rank's failure lets that one be heard.
   */
  private static void letTheCauseSpeakFirst(Throwable failure) throws InterruptedException {
    for (Throwable e = failure; e != null; e = e.getCause()) {
      if (e instanceof CollectiveException collective && collective.isSecondary()) {
        Thread.sleep(HEARING.toMillis());
        return;
      }
    }
  }

  /** Ends the waits of a task that Spark has killed, also where its interrupt was lost. */
  private static CountDownLatch watchForKill(BarrierTaskContext context, Collective collective) {
    CountDownLatch ended = new CountDownLatch(1);
    Thread watch =
        new Thread(
            () -> {
              try {
                while (!ended.await(1, TimeUnit.SECONDS)) {
                  if (context.isInterrupted()) {
                    collective.abort(new InterruptedException("Spark has killed this task."));
                    return;
                  }
                }
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "kklip-kill-watch-" + context.partitionId());
    watch.setDaemon(true);
    watch.start();
    return ended;
  }

  /** A rank of an earlier attempt, stopped and continued, must not come in between. */
  private byte[] secretOf(int attempt) throws GeneralSecurityException {
    Mac mac = Mac.getInstance("HmacSHA256");
    mac.init(new SecretKeySpec(secret, "HmacSHA256"));
    return mac.doFinal(("attempt " + attempt).getBytes(StandardCharsets.UTF_8));
  }

  /** The address that others reach this executor by, where the machine has it; else any. */
  static InetAddress bindAddress(String host) throws IOException {
    for (InetAddress address : InetAddress.getAllByName(host)) {
      if (NetworkInterface.getByInetAddress(address) != null) {
        return address;
      }
    }
    return InetAddress.getByAddress(new byte[4]);
  }

  private static void refuseSharing(List<Address> all) {
    for (int a = 0; a < all.size(); a++) {
      for (int b = 0; b < a; b++) {
        boolean sameProcess = all.get(a).process().equals(all.get(b).process());
        boolean sameHost = all.get(a).peer().host().equals(all.get(b).peer().host());
        boolean cpu = all.get(a).device().equals("cpu") || all.get(b).device().equals("cpu");
        if (cpu && sameProcess) {
          throw new SettingsException(
              message(
                  "Cannot train because ranks %s and %s share an executor on %s. Set spark.task.cpus to the cores of an executor, so that each runs one rank.",
                  b, a, all.get(a).peer().host()));
        }
        if (!cpu && sameHost && all.get(a).device().equals(all.get(b).device())) {
          throw new SettingsException(
              message(
                  "Cannot train because ranks %s and %s share %s on %s. Set spark.task.resource.gpu.amount to 1, and give the workers of one host different GPUs.",
                  b, a, all.get(a).device(), all.get(a).peer().host()));
        }
      }
    }
  }
}
