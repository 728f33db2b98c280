"""Decoding and preprocessing of images on one thread: this project against Pillow, in turn, on the same files.

    python src/test/python/image_bench.py make FOLDER       64 photograph-like JPEG files of 500 x 375 and 375 x 500
    python src/test/python/image_bench.py compare FOLDER    prints one line of JSON a run, then ratios

`compare` needs `mvn test-compile` first. `images_per_cpu_s` counts the thread's own processor time, so that other
load on the machine disturbs it less.
"""

import argparse
import io
import json
import pathlib
import subprocess
import sys
import time

import numpy as np
from PIL import Image


def make(folder):
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    for i in range(64):
        width, height = (500, 375) if i % 2 else (375, 500)
        picture = np.full((height, width, 3), 128.0)
        for cells, contrast in ((3, 80), (10, 45), (30, 25), (100, 12)):
            noise = random.standard_normal((cells, cells, 3)).astype(np.float32)
            for c in range(3):
                layer = Image.fromarray(noise[..., c]).resize((width, height), Image.BICUBIC)
                picture[..., c] += contrast * np.asarray(layer)
        picture += 3 * random.standard_normal((height, width, 1))
        image = Image.fromarray(picture.clip(0, 255).astype(np.uint8))
        image.save(f"{folder}/{i:02}.jpg", quality=90)


def peer(folder, seconds):
    files = [path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())]
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    scale, offset = 1 / (255 * std), mean / std
    decoding = preparing = images = 0
    start = time.perf_counter()
    while time.perf_counter() - start < seconds:
        before = time.thread_time()
        image = Image.open(io.BytesIO(files[images % len(files)])).convert("RGB")
        decoded = time.thread_time()
        width, height = image.size
        short = min(width, height)
        width, height = 224 * width // short, 224 * height // short
        left, top = (width - 224) // 2, (height - 224) // 2
        image = image.resize((width, height), Image.BICUBIC).crop((left, top, left + 224, top + 224))
        np.ascontiguousarray((np.asarray(image) * scale - offset).transpose(2, 0, 1))
        decoding += decoded - before
        preparing += time.thread_time() - decoded
        images += 1
    print(
        json.dumps(
            dict(
                side="Pillow",
                decode_ms=1e3 * decoding / images,
                preprocess_ms=1e3 * preparing / images,
                images_per_cpu_s=images / (decoding + preparing),
                images_per_s=images / (time.perf_counter() - start),
            )
        )
    )


def compare(folder, seconds, rounds):
    classpath = ":".join(["target/classes", "target/test-classes", pathlib.Path("target/classpath.txt").read_text()])
    ours = ["java", "-Xmx1g", "-cp", classpath, "io.github.kklip.image.ImageBench", folder, str(2 * seconds)]
    theirs = [sys.executable, __file__, "peer", folder, "--seconds", str(seconds)]
    ratios = {"images_per_cpu_s": [], "images_per_s": []}
    for _ in range(rounds):
        lines = []
        for command in (ours, theirs):
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            lines.append(json.loads(text.strip().splitlines()[-1]))
            print(json.dumps(lines[-1]), flush=True)
        for key, values in ratios.items():
            values.append(lines[0][key] / lines[1][key])
    print(json.dumps({"ratio_" + key: sorted(values)[len(values) // 2] for key, values in ratios.items()}))


parser = argparse.ArgumentParser()
parser.add_argument("command", choices=["make", "peer", "compare"])
parser.add_argument("folder")
parser.add_argument("--seconds", type=float, default=5)
parser.add_argument("--rounds", type=int, default=3)
a = parser.parse_args()
if a.command == "make":
    make(a.folder)
elif a.command == "peer":
    peer(a.folder, a.seconds)
else:
    compare(a.folder, a.seconds, a.rounds)
