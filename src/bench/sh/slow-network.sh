#!/usr/bin/env bash
# All-reduce between processes over a slow network: AllReduceBench in a network namespace of its own, whose loopback lets
# RATE through for all ranks together. After `mvn -Pbench test-compile`, in the project's root:
#
#   src/bench/sh/slow-network.sh RANKS SIZES_MB RATE      (such as 4 1,16 1gbit)
#
# All bytes share one bandwidth B, so that a ring should take T = 2 (N - 1) S / B. Needs unshare, ip and tc.
set -euo pipefail
[ $# -eq 3 ] || { sed -n 's/^# \{0,1\}//p' "$0" >&2; exit 2; }

exec unshare --map-root-user --net bash -euo pipefail -c '
  ip link set lo up
  tc qdisc add dev lo root tbf rate "$3" burst 256k latency 50ms
  exec java @conf/jvm.options -cp "target/bench-classes:target/classes:$(cat target/classpath.txt)" \
    io.github.kklip.comms.AllReduceBench "$1" "$2"' bash "$@"
