"""Caption embedding: this project against transformers, in turn, on the same captions and weights.

    python src/test/python/llama_bench.py make FOLDER --tokenizer LLAMA2_TOKENIZER_FOLDER
    python src/test/python/llama_bench.py captions OUT.txt TAR...          first captions of WebDataset archives
    python src/test/python/llama_bench.py compare FOLDER CAPTIONS.txt      prints one line of JSON a run, then ratios

`compare` needs `mvn test-compile` first. Each side runs in a process of its own with the same threads.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import time

SHAPE = dict(
    hidden_size=1024, num_hidden_layers=8, num_attention_heads=16, intermediate_size=2752, vocab_size=32000,
    max_position_embeddings=256,
)


def make(folder, tokenizer):
    import torch
    import transformers

    torch.manual_seed(0)
    model = transformers.LlamaModel(transformers.LlamaConfig(**SHAPE))
    for dtype in (torch.float32, torch.bfloat16):
        out = pathlib.Path(folder, str(dtype).removeprefix("torch."))
        model.to(dtype).save_pretrained(out)
        shutil.copy(pathlib.Path(tokenizer, "tokenizer.json"), out)


def captions(out, archives, count):
    lines = []
    for archive in archives:
        with tarfile.open(archive) as tar:
            for member in tar:
                if member.name.endswith(".json"):
                    lines += json.load(tar.extractfile(member))["captions"]
    # Captions of different pictures in arrival order, one of each at a time.
    mixed = [c for offset in range(5) for c in lines[offset::5]]
    pathlib.Path(out).write_text("\n".join(" ".join(c.split()) for c in mixed[:count]) + "\n")


def peer(folder, file, dtype, order, threads, batch=64):
    import tokenizers
    import torch
    import transformers

    torch.set_num_threads(threads)
    model = transformers.LlamaModel.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    lines = pathlib.Path(file).read_text().splitlines()

    def run(lines):
        ids = [e.ids for e in tokenizer.encode_batch(lines)]
        places = sorted(range(len(ids)), key=lambda i: -len(ids[i])) if order == "sorted" else range(len(ids))
        out = torch.empty(len(ids), model.config.hidden_size)
        for start in range(0, len(ids), batch):
            rows = list(places[start : start + batch])
            longest = max(len(ids[i]) for i in rows)
            x = torch.zeros(len(rows), longest, dtype=torch.long)
            mask = torch.zeros(len(rows), longest, dtype=torch.long)
            for r, i in enumerate(rows):
                x[r, : len(ids[i])] = torch.tensor(ids[i])
                mask[r, : len(ids[i])] = 1
            states = model(input_ids=x, attention_mask=mask, use_cache=False).last_hidden_state.float()
            weights = mask.clone()
            weights[:, 0] = 0
            out[rows] = (states * weights.unsqueeze(-1)).sum(1) / weights.sum(1, keepdim=True)
        return out

    with torch.inference_mode():
        run(lines[:batch])
        start = time.perf_counter()
        run(lines)
        seconds = time.perf_counter() - start
    print(json.dumps(dict(side="transformers", order=order, dtype=dtype, seconds=seconds, captions_per_s=len(lines) / seconds)))


def compare(folder, file, threads, rounds):
    environment = os.environ | {"OMP_NUM_THREADS": str(threads), "DJL_OFFLINE": "true"}
    classpath = ":".join(["target/classes", "target/test-classes", pathlib.Path("target/classpath.txt").read_text()])

    def run(command):
        text = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
        result = json.loads(text.strip().splitlines()[-1])
        print(json.dumps(result), flush=True)
        return result["captions_per_s"]

    for dtype in ("float32", "bfloat16"):
        model = f"{folder}/{dtype}"
        best = {}
        for _ in range(rounds):
            for side in ("arrival", "ours", "sorted", "ours"):
                rate = run(
                    ["java", "-Xmx2g", "-cp", classpath, "io.github.kklip.teacher.CaptionBench", model, file, dtype, str(threads)]
                    if side == "ours"
                    else [sys.executable, __file__, "peer", model, file, "--dtype", dtype, "--order", side, "--threads", str(threads)]
                )
                best.setdefault(side, []).append(rate)
        median = {side: sorted(rates)[len(rates) // 2] for side, rates in best.items()}
        print(
            json.dumps(
                dict(
                    dtype=dtype,
                    captions_per_s=median,
                    against_arrival=median["ours"] / median["arrival"],
                    against_sorted=median["ours"] / median["sorted"],
                )
            ),
            flush=True,
        )


parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["make", "captions", "peer", "compare"])
parser.add_argument("paths", nargs="+")
parser.add_argument("--tokenizer")
parser.add_argument("--count", type=int, default=2048)
parser.add_argument("--dtype", default="float32")
parser.add_argument("--order", default="arrival")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=1)
a = parser.parse_args()
if a.command == "make":
    make(a.paths[0], a.tokenizer)
elif a.command == "captions":
    captions(a.paths[0], a.paths[1:], a.count)
elif a.command == "peer":
    peer(a.paths[0], a.paths[1], a.dtype, a.order, a.threads)
else:
    compare(a.paths[0], a.paths[1], a.threads, a.rounds)
