"""Writes src/test/resources/golden/text: llama.json, ids of Llama tokenizers by `transformers`, and
clip/tokenizer.json, a small tokenizer in CLIP's form as `transformers` writes it, trained on captions made up here,
with its ids of the same texts in clip.json.

Usage: text_golden.py WEIGHTS OUT, where WEIGHTS holds llama2-tokenizer/ and stories260K/.
Only ids are written, not the vocabularies. A text is given as [unit, repetitions], so that long ones stay small.
The digest is the SHA-256 of all ids, each as a decimal number and a space.
"""

import hashlib
import json
import pathlib
import sys

from tokenizers import trainers
from transformers import AutoTokenizer, CLIPTokenizer

TEXTS = [
    ["", 1],
    [" ", 1],
    ["   two   spaces  at  both ends  ", 1],
    ["A dog runs over the beach.", 1],
    ["Un café très agréable à Zürich, naïve façade", 1],
    ["e\u0301 decomposed accent", 1],
    ["二只猫在沙发上睡觉。東京タワー", 1],
    ["한국어 문장", 1],
    ["\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 family \U0001f1e9\U0001f1ea", 1],
    ["tab\tnewline\nreturn\rbell\u0007nul\u0000end", 1],
    ["zero\u200bwidth\ufeffmark\u00a0no-break", 1],
    ["<s> not special? </s> <unk>", 1],
    ["MiXeD CASE 1234567890 #hash @at https://example.org/?q=1&r=2", 1],
    ["▁ already ▁▁ there", 1],
    ["\ufffd replacement", 1],
    ["a photograph of a very small red square ", 2000],
    ["x", 5000],
]


def row(ids: list[int]) -> dict:
    text = "".join(f"{i} " for i in ids)
    return {"count": len(ids), "first": ids[:64], "digest": hashlib.sha256(text.encode()).hexdigest()}


def clip() -> CLIPTokenizer:
    """CLIP's vocabulary in CLIP's order: bytes, bytes that end a word, merges, start token, end token."""
    colours = ["red", "green", "blue", "café-brown"]
    shapes = ["square", "circle", "triangle"]
    captions = [f"a {c} {s}'s shadow on the {d} {t}" for c in colours for s in shapes for d in colours for t in shapes]
    learner = CLIPTokenizer().backend_tokenizer
    learner.train_from_iterator(
        captions, trainers.BpeTrainer(vocab_size=150, end_of_word_suffix="</w>", show_progress=False)
    )
    merges = [tuple(m) for m in json.loads(learner.to_str())["model"]["merges"]]
    alphabet = byte_characters()
    tokens = alphabet + [c + "</w>" for c in alphabet]
    tokens += ["".join(m) for m in merges] + ["<|startoftext|>", "<|endoftext|>"]
    return CLIPTokenizer(vocab={token: i for i, token in enumerate(tokens)}, merges=merges)


def byte_characters() -> list[str]:
    """The printable stand-ins of the 256 bytes, in the order of CLIP's vocabulary: printable bytes first."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b) for b in printable] + [chr(256 + i) for i in range(256 - len(printable))]


def main(weights: pathlib.Path, out: pathlib.Path) -> None:
    golden = {"texts": TEXTS, "tokenizers": {}}
    for name in ("llama2-tokenizer", "stories260K"):
        tokenizer = AutoTokenizer.from_pretrained(weights / name)
        golden["tokenizers"][name] = [row(tokenizer(unit * times)["input_ids"]) for unit, times in TEXTS]
    (out / "llama.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
    tokenizer = clip()
    (out / "clip").mkdir(exist_ok=True)
    tokenizer.backend_tokenizer.save(str(out / "clip" / "tokenizer.json"), pretty=False)
    rows = [row(tokenizer(unit * times)["input_ids"]) for unit, times in TEXTS]
    (out / "clip.json").write_text(json.dumps({"texts": TEXTS, "ids": rows}, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
