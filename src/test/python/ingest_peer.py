"""The peer's side of IngestBench, as img2dataset works: each line on standard input is one run over the archives

    python ingest_peer.py PROCESSES FOLDER OUTPUT

in FOLDER, one process each: members are decoded with Pillow, checked, hashed and written to an archive in OUTPUT. The
answer is {"seconds": wall time, "images": count}.
"""

import hashlib
import io
import json
import multiprocessing
import pathlib
import sys
import tarfile
import time

from PIL import Image


def archive(paths):
    source, target = paths
    count = 0
    with tarfile.open(source) as members, tarfile.open(target, "w") as out:
        sample = {}
        for member in members:
            data = members.extractfile(member).read()
            sample[member.name.rsplit(".", 1)[1]] = (member, data)
            if len(sample) < 2:
                continue
            image = Image.open(io.BytesIO(sample["jpg"][1])).convert("RGB")
            caption = sample["txt"][1].decode().strip()
            if min(image.size) >= 16 and max(image.size) <= 10 * min(image.size) and caption:
                hashlib.sha256(sample["jpg"][1]).hexdigest()
                for entry, content in sample.values():
                    entry.size = len(content)
                    out.addfile(entry, io.BytesIO(content))
                count += 1
            sample = {}
    return count


def main():
    processes, folder, output = int(sys.argv[1]), pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
    work = [(path, output / path.name) for path in sorted(folder.glob("*.tar"))]
    with multiprocessing.Pool(processes) as pool:
        pool.map(len, [[]] * processes)
        print("READY", flush=True)
        for _ in sys.stdin:
            start = time.perf_counter()
            images = sum(pool.imap_unordered(archive, work))
            print(json.dumps(dict(seconds=time.perf_counter() - start, images=images)), flush=True)


if __name__ == "__main__":
    main()
