"""Golden files of the tokenizer training, in two steps.

  tokenize_golden.py captions OUT    writes captions.txt, captions made up here
  tokenize_golden.py ids FOLDER OUT  loads the tokenizer folder that TokenizerJsonTest wrote from captions.txt
                                     (target/tokenizer) in every way that Hugging Face's libraries have, checks that
                                     all agree, and writes ids.json, the ids of text_golden.py's texts
"""

import itertools
import json
import pathlib
import sys

from tokenizers import Tokenizer
from transformers import AutoTokenizer, CLIPTokenizer, CLIPTokenizerFast

from text_golden import TEXTS, row

COLOURS = ["red", "dark-green", "Blue", "café", "8bit", "naïve", "🟡", "紫色の"]
SHAPES = ["square", "circle", "triangle's edge", "sphere", "Würfel", "étoile", "星"]
RELATIONS = ["left of", "above", "isn't touching", "12 px below"]


def captions() -> list[str]:
    pairs = itertools.product(COLOURS, SHAPES, RELATIONS)
    return [f"A {c} {s} {r} the {COLOURS[i % 5]} {SHAPES[i % 3]}." for i, (c, s, r) in enumerate(pairs)]


def ids(folder: pathlib.Path) -> list[dict]:
    from_parts = CLIPTokenizer(vocab=str(folder / "vocab.json"), merges=str(folder / "merges.txt"))
    tokenizers = {
        "tokenizers": lambda text: Tokenizer.from_file(str(folder / "tokenizer.json")).encode(text).ids,
        "CLIPTokenizerFast": lambda text: CLIPTokenizerFast.from_pretrained(folder)(text)["input_ids"],
        "AutoTokenizer": lambda text: AutoTokenizer.from_pretrained(folder)(text)["input_ids"],
        "CLIPTokenizer of vocab.json and merges.txt": lambda text: from_parts(text)["input_ids"],
    }
    rows = []
    for unit, times in TEXTS:
        results = {name: tokenize(unit * times) for name, tokenize in tokenizers.items()}
        expected = results["tokenizers"]
        for name, result in results.items():
            assert result == expected, f"{name} differs on {unit!r}: {result} {expected}"
        rows.append(row(expected))
    return rows


def main(step: str, *paths: str) -> None:
    out = pathlib.Path(paths[-1])
    if step == "captions":
        (out / "captions.txt").write_text("\n".join(captions()) + "\n")
    else:
        golden = {"texts": TEXTS, "ids": ids(pathlib.Path(paths[0]))}
        (out / "ids.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
