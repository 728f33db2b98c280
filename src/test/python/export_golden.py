"""Golden files of export and import, and the check of an exported folder by `transformers`.

  export_golden.py make OUT             writes clip/, a small CLIPModel with random weights and its processor as
                                        `transformers` saves them, two pictures, and embeddings.json of them
  export_golden.py halves OUT           writes halves/: another preprocessor_config.json for clip/ in OUT, and the
                                        embeddings with it
  export_golden.py embed FOLDER IMAGES  loads an exported folder with CLIPModel and CLIPProcessor and prints the same
                                        embeddings as JSON, of the pictures in the folder IMAGES
"""

import json
import pathlib
import shutil
import sys
import tempfile

import torch
from PIL import Image
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer

TEXTS = [
    "a red square's shadow on the blue circle",
    "Un CAFÉ très agréable",
    "",
    "\U0001f7e1 the green triangle " * 20,
]
IMAGES = ["wide.png", "exact.png"]


def embed(folder: pathlib.Path, images: pathlib.Path) -> dict:
    model = CLIPModel.from_pretrained(folder).eval()
    # Pillow's resize, CLIP's own; the torchvision backend rounds a few levels otherwise.
    processor = CLIPProcessor.from_pretrained(folder, backend="pil")
    inputs = processor(
        text=TEXTS,
        images=[Image.open(images / name) for name in IMAGES],
        return_tensors="pt",
        padding=True,
        truncation=True,
    )
    with torch.no_grad():
        text = model.text_model(input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"])
        image = model.vision_model(pixel_values=inputs["pixel_values"])
        return {
            "texts": TEXTS,
            "text": model.text_projection(text.pooler_output).tolist(),
            "images": IMAGES,
            "image": model.visual_projection(image.pooler_output).tolist(),
        }


def make(out: pathlib.Path) -> None:
    torch.manual_seed(0)
    tower = dict(hidden_size=16, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    ids = dict(bos_token_id=553, eos_token_id=554, pad_token_id=554)
    config = CLIPConfig(
        text_config=dict(tower, vocab_size=555, max_position_embeddings=24, **ids),
        vision_config=dict(tower, image_size=32, patch_size=8),
        projection_dim=12,
    )
    model = CLIPModel(config)
    for name, parameter in model.named_parameters():
        # Larger than the usual start, so that every tensor matters to the fourth digit.
        if name != "logit_scale":
            torch.nn.init.normal_(parameter, 1.0 if "norm" in name and "weight" in name else 0.0, 0.2)
    model.save_pretrained(out / "clip")
    tokenizer = CLIPTokenizer.from_pretrained(out.parent / "text" / "clip", model_max_length=24)
    size = dict(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = CLIPImageProcessor(**size)
    tokenizer.save_pretrained(out / "clip")
    processor.save_pretrained(out / "clip")
    for name, (width, height) in zip(IMAGES, [(57, 40), (32, 32)]):
        pixels = bytes((x * 7 + y * 13 * c + x * y * (c + 1)) % 256 for y in range(height) for x in range(width) for c in range(3))
        Image.frombytes("RGB", (width, height), pixels).save(out / name)
    golden = embed(out / "clip", out)
    (out / "embeddings.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


def halves(out: pathlib.Path) -> None:
    """As LAION's ViT-L/14 has its numbers, and the rest unlike CLIP's too."""
    processor = CLIPImageProcessor(
        size={"shortest_edge": 36},
        crop_size={"height": 32, "width": 32},
        resample=2,
        image_mean=[0.5, 0.5, 0.5],
        image_std=[0.5, 0.5, 0.5],
    )
    processor.save_pretrained(out / "halves")
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name) / "clip"
        shutil.copytree(out / "clip", folder)
        shutil.copy(out / "halves" / "preprocessor_config.json", folder)
        golden = embed(folder, out)
    (out / "halves" / "embeddings.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(pathlib.Path(sys.argv[2]))
    elif sys.argv[1] == "halves":
        halves(pathlib.Path(sys.argv[2]))
    else:
        print(json.dumps(embed(pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3]))))
