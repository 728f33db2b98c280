"""Writes src/test/resources/golden/image: what Pillow, transformers and torchvision make of images.

    python src/test/python/image_golden.py [folder with flickr-sizes and odd-images]

The images of preprocess.tsv are made by formula, here and in Golden.java. Of the files that
cannot be committed, coarse means of what Pillow decodes are kept.
"""

import base64
import hashlib
import json
import os
import sys
import warnings

import numpy as np
import PIL.features
import torch
import torchvision
import transformers
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image, ImageOps
from torchvision.transforms import functional as F
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

HERE = os.path.dirname(os.path.abspath(__file__))
OUT = os.path.join(HERE, "..", "resources", "golden", "image")
SIZES = [
    (500, 375), (375, 500), (224, 224), (225, 224), (1000, 31), (31, 1000), (1, 1), (1, 7), (3, 2),
    (10, 300), (1333, 800), (640, 480), (223, 640), (2, 1500), (17, 19), (4000, 3),
]
# One of so many levels of a photograph is kept.
SAMPLE = 97
BOXES = [
    ((500, 375), (0, 0, 500, 375)), ((500, 375), (13, 7, 401, 333)), ((500, 375), (499, 374, 1, 1)),
    ((64, 48), (5, 6, 20, 30)), ((300, 200), (100, 0, 1, 200)), ((300, 200), (0, 199, 300, 1)),
]
VIEWS = [(500, 375), (375, 500), (224, 224), (1000, 31), (31, 1000), (5, 9), (1, 1), (1333, 800)]


class SplitMix64:
    """As io.github.kklip.config.SplitMix64."""

    MASK = (1 << 64) - 1

    def __init__(self, seed):
        self.state = seed

    def next_long(self):
        self.state = (self.state + 0x9E3779B97F4A7C15) & self.MASK
        z = self.state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & self.MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & self.MASK
        return z ^ (z >> 31)

    def next_double(self):
        return (self.next_long() >> 11) * 2.0**-53

    def next_int(self, bound):
        while True:
            bits = self.next_long() >> 1
            if bits - bits % bound + bound - 1 < 1 << 63:
                return bits % bound


def boxes(width, height, min_scale, seeds):
    """torchvision's boxes, drawn with the numbers of one generator for each seed."""
    image = Image.new("RGB", (width, height))
    uniform, randint = torch.Tensor.uniform_, torch.randint
    drawn = []
    for seed in seeds:
        random = SplitMix64(seed)
        torch.Tensor.uniform_ = lambda self, a, b: self.fill_(
            float(a) + (float(b) - float(a)) * random.next_double()
        )
        torch.randint = lambda low, high, size: torch.tensor([low + random.next_int(high - low)])
        try:
            top, left, h, w = RandomResizedCrop.get_params(image, [min_scale, 1.0], [3 / 4, 4 / 3])
        finally:
            torch.Tensor.uniform_, torch.randint = uniform, randint
        drawn += [left, top, w, h]
    return drawn


def pattern(width, height):
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    n = (x * x * 3 + y * y * 5 + x * y * 7 + c * 61 + x * 11 + y * 13).astype(np.int32)
    n = (n ^ (n >> 5)) * 37
    hard = 255 * ((x + y) % 2)
    return Image.fromarray(np.where((x // 9 + y // 7 + c) % 3 == 0, hard, n).astype(np.uint8))


def processor(size):
    return CLIPImageProcessorPil(
        size={"shortest_edge": size}, crop_size={"height": size, "width": size}
    )


def pixels(image, size):
    return np.asarray(processor(size)(image, return_tensors="np")["pixel_values"][0], "<f4")


# What CLIPImageProcessor is told, and pictures; the model takes 32 pixels.
CONFIGS = [
    {"size": 32, "crop_size": 32},
    {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]},
    {"size": {"shortest_edge": 37}, "crop_size": 32, "image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]},
    {"size": {"height": 32, "width": 32}, "do_center_crop": False, "resample": 2},
    {"size": {"height": 41, "width": 41}, "crop_size": [32, 32], "resample": 1},
    {"size": [32, 32], "crop_size": 32, "resample": 4},
    {"size": 32, "crop_size": 32, "resample": 5},
    {"size": 32, "default_to_square": True, "crop_size": 32, "resample": 2},
    {"size": 32, "crop_size": 32, "do_rescale": False, "image_mean": 127.5, "image_std": 64},
    {"size": 32, "crop_size": 32, "do_normalize": False},
    {"size": 32, "crop_size": 32, "rescale_factor": 0.00784313725490196, "image_mean": 1.0, "image_std": 1.0},
]
OPEN_CLIP = [
    {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
    {"size": [32, 32], "mode": "RGB", "interpolation": "bilinear", "resize_mode": "squash", "fill_color": 0},
    {"size": 32, "interpolation": "random", "resize_mode": "shortest", "std": 0.25, "mean": 0.25},
]
# The shorter side becomes 32 and the longer one an even number: open_clip rounds odd margins otherwise.
OPEN_CLIP_PICTURES = [(500, 375), (64, 96), (31, 31), (9, 16)]
PICTURES = OPEN_CLIP_PICTURES + [(1000, 31), (31, 1000), (1, 1), (33, 35), (640, 480)]


def preprocessing():
    rows = []
    for config in CONFIGS:
        for width, height in PICTURES:
            seen = CLIPImageProcessorPil(**config)(pattern(width, height), return_tensors="np")
            array = np.asarray(seen["pixel_values"][0], "<f4")
            rows.append((json.dumps(config), width, height, digest(array)))
    write("preprocessing.tsv", rows)
    rows = []
    for config in OPEN_CLIP:
        transform = image_transform_v2(PreprocessCfg(**{"size": 32, **config}), is_train=False)
        for width, height in OPEN_CLIP_PICTURES:
            values = transform(pattern(width, height)).numpy().reshape(-1)[::SAMPLE]
            rows.append((json.dumps(config), width, height, ",".join("%.6f" % v for v in values)))
    write("open_clip.tsv", rows)


def digest(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def means(array, cells):
    """Means of cells x cells blocks of an H W 3 array, rows of blocks first, to 1 decimal."""
    height, width = array.shape[:2]
    blocks = []
    for i in range(cells):
        for j in range(cells):
            top, left = i * height // cells, j * width // cells
            bottom = max(top + 1, (i + 1) * height // cells)
            right = max(left + 1, (j + 1) * width // cells)
            block = array[top:bottom, left:right].astype(np.float64)
            blocks += ["%.1f" % v for v in block.mean((0, 1))]
    return ",".join(blocks)


def decoded(path):
    """Upright, on white, first frame, 16 bits by their upper byte."""
    image = Image.open(path)
    image.load()
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        grey = (np.asarray(image.convert("I")).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        white.alpha_composite(image)
        image = white
    return np.asarray(image.convert("RGB"))


def write(name, rows):
    with open(os.path.join(OUT, name), "w", encoding="utf-8", newline="\n") as out:
        for row in rows:
            out.write("\t".join(str(v) for v in row) + "\n")


def main():
    warnings.simplefilter("ignore")
    os.makedirs(OUT, exist_ok=True)
    rows = []
    for size in (224, 64, 7):
        for width, height in SIZES:
            rows.append((size, width, height, digest(pixels(pattern(width, height), size))))
    write("preprocess.tsv", rows)

    preprocessing()

    rows = []
    normalise = CLIPImageProcessorPil()
    for (width, height), (left, top, w, h) in BOXES:
        crop = F.resized_crop(
            pattern(width, height), top, left, h, w, [64, 64], InterpolationMode.BICUBIC
        )
        array = normalise(crop, do_resize=False, do_center_crop=False, return_tensors="np")
        rows.append((width, height, left, top, w, h, digest(array["pixel_values"][0])))
    write("crop.tsv", rows)

    rows = []
    for width, height in VIEWS:
        for min_scale in (0.08, 0.5, 0.9):
            rows.append((width, height, min_scale, *boxes(width, height, min_scale, range(40))))
    write("boxes.tsv", rows)

    modules = (PIL, np, torch, torchvision, transformers)
    rows = [(module.__name__, module.__version__) for module in modules]
    rows.append(("libjpeg-turbo", PIL.features.version("libjpeg_turbo")))
    write("versions.tsv", rows)

    if len(sys.argv) < 2:
        return
    data = sys.argv[1]
    folder = os.path.join(data, "flickr-sizes", "images")
    rows = []
    for name in sorted(os.listdir(folder))[::12]:
        image = Image.open(os.path.join(folder, name)).convert("RGB")
        seen = pixels(image, 224).transpose(1, 2, 0)
        mean = np.array(normalise.image_mean, np.float32)
        std = np.array(normalise.image_std, np.float32)
        levels = np.rint((seen * std + mean) * 255)
        samples = levels.reshape(-1)[::SAMPLE].astype(np.uint8).tobytes()
        sampled = base64.b64encode(samples).decode()
        rows.append((name, image.width, image.height, means(levels, 8), sampled))
    write("flickr.tsv", rows)

    folder = os.path.join(data, "odd-images", "files")
    rows = []
    for name in sorted(os.listdir(folder)):
        try:
            array = decoded(os.path.join(folder, name))
            rows.append((name, array.shape[1], array.shape[0], means(array, 4)))
        except Exception as refused:
            rows.append((name, 0, 0, type(refused).__name__))
    write("odd.tsv", rows)


if __name__ == "__main__":
    main()
