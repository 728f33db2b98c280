"""All-reduce by gloo over loopback TCP, on request: a line "MB REPEATS" in, a JSON line out.

python allreduce_bench.py RANKS. Waiting between requests costs nothing, so that another program can
take turns with this one.
"""
import json
import os
import statistics
import sys
import time

import torch
import torch.distributed as dist
import torch.multiprocessing as mp


def work(rank, ranks, port, requests):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port), GLOO_SOCKET_IFNAME="lo")
    torch.set_num_threads(1)
    dist.init_process_group("gloo", rank=rank, world_size=ranks)
    buffers = {}
    while True:
        request = requests[rank].get()
        if request is None:
            break
        megabytes, repeats = request
        x = buffers.setdefault(megabytes, torch.ones(megabytes * 1_000_000 // 4))
        seconds = []
        for repeat in range(repeats + 1):
            x.fill_(1)
            dist.barrier()
            start = time.perf_counter()
            dist.all_reduce(x)
            if repeat:
                seconds.append(time.perf_counter() - start)
        assert float(x[-1]) == ranks
        if rank == 0:
            print(json.dumps({"mb": megabytes, "seconds": statistics.median(seconds)}), flush=True)
    dist.destroy_process_group()


if __name__ == "__main__":
    ranks = int(sys.argv[1])
    port = int(sys.argv[2])
    context = mp.get_context("spawn")
    requests = [context.Queue() for _ in range(ranks)]
    processes = [
        context.Process(target=work, args=(rank, ranks, port, requests)) for rank in range(ranks)
    ]
    for process in processes:
        process.start()
    for line in sys.stdin:
        megabytes, repeats = line.split()
        for queue in requests:
            queue.put((int(megabytes), int(repeats)))
    for queue in requests:
        queue.put(None)
    for process in processes:
        process.join(30)
