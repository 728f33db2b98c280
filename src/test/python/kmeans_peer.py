"""The peer's side of KMeansBench: faiss on rows in a file. Each line on standard input is one run:

    python kmeans_peer.py THREADS ROWS DIMENSION K FILE START
    <- ITERATIONS SEED OUTPUT      seed -1: from the centres in START

and is answered by {"seconds": wall time of the whole run}; OUTPUT gets the centres, float32.
"""

import json
import sys
import time

import faiss
import numpy as np

threads, rows, dimension, k = map(int, sys.argv[1:5])
faiss.omp_set_num_threads(threads)
x = np.fromfile(sys.argv[5], np.float32).reshape(rows, dimension)
start = np.fromfile(sys.argv[6], np.float32).reshape(k, dimension)
print("READY", flush=True)
for line in sys.stdin:
    iterations, seed, output = line.split()
    begin = time.perf_counter()
    kmeans = faiss.Kmeans(
        dimension, k, niter=int(iterations), seed=max(int(seed), 1),
        max_points_per_centroid=10**9, min_points_per_centroid=1,
    )
    kmeans.train(x, init_centroids=start.copy() if int(seed) < 0 else None)
    seconds = time.perf_counter() - begin
    kmeans.centroids.astype(np.float32).tofile(output)
    print(json.dumps(dict(seconds=seconds)), flush=True)
