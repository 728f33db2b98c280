"""Writes src/test/resources/golden/text: llama.json, ids of Llama tokenizers by `transformers`, and
clip/tokenizer.json, a small tokenizer in CLIP's form as `transformers` writes it, trained on captions made up here,
with its ids of the same texts in clip.json; and vocabulary.json, its ids where a folder has only vocab.json, merges.txt
and some of the small files that older and newer programs put beside them.

Usage: text_golden.py WEIGHTS OUT, where WEIGHTS holds llama2-tokenizer/ and stories260K/; with one argument, OUT, only
vocabulary.json is written, from clip/tokenizer.json in OUT.
Only ids are written, not the vocabularies. A text is given as [unit, repetitions], so that long ones stay small.
The digest is the SHA-256 of all ids, each as a decimal number and a space.
"""

import hashlib
import json
import pathlib
import sys
import tempfile

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


ODD_CAPTIONS = [
    ["<|startoftext|>the red<|endoftext|>square<|ENDOFTEXT|> <|StartOfText|>", 1],
    ["Hello! the RED! square's 've it's we'll'd", 1],
    ["a\u00a0no-break\u2003em\u2028line\u0085next\u200bzero", 1],
    ["\ufb01 ligature \u0130stanbul stra\u00dfe \u01c5 \u03a3\u03af\u03c3\u03c5\u03c6\u03bf\u03c2", 1],
    ["12 345\u0663\u00bd x2 2x", 1],
    ["...!!! --- (red) [blue] \u201cgreen\u201d \u2019s", 1],
    ["<pad> a shadow play<pad>the  Shadow  Play", 1],
    ["&amp; &lt;b&gt; <br/>", 1],
]
# What stands beside vocab.json and merges.txt, by the name of the file.
FOLDERS = [
    {},
    {
        "special_tokens_map.json": {
            "bos_token": {"content": "<|startoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False},
            "eos_token": {"content": "<|endoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False},
            "unk_token": {"content": "<|endoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False},
            "pad_token": "!",
        },
        "tokenizer_config.json": {"pad_token": "<|endoftext|>", "do_lower_case": True, "model_max_length": 77},
    },
    {"added_tokens.json": {"<pad>": 555, "shadow play": 556}, "special_tokens_map.json": {"pad_token": "<pad>"}},
    {
        "special_tokens_map.json": {"pad_token": "!"},
        "tokenizer_config.json": {
            "added_tokens_decoder": {
                "553": {"content": "<|startoftext|>", "lstrip": False, "normalized": True, "rstrip": False, "single_word": False, "special": True},
                "554": {"content": "<|endoftext|>", "lstrip": False, "normalized": False, "rstrip": True, "single_word": False, "special": True},
                "555": {"content": "shadow play", "lstrip": True, "normalized": True, "rstrip": False, "single_word": True, "special": False},
            },
            "bos_token": "<|startoftext|>",
            "eos_token": "<|endoftext|>",
            "unk_token": "<|endoftext|>",
            "pad_token": "<|endoftext|>",
        },
    },
]
CONTEXT = 8


def vocabulary(out: pathlib.Path) -> None:
    model = json.loads((out / "clip" / "tokenizer.json").read_text())["model"]
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in model["merges"]]
    texts = TEXTS[:-2] + ODD_CAPTIONS
    golden = {"texts": texts, "context": CONTEXT, "folders": []}
    for files in FOLDERS:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            (folder / "vocab.json").write_text(json.dumps(model["vocab"]))
            (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges]) + "\n")
            for file, content in files.items():
                (folder / file).write_text(json.dumps(content))
            tokenizer = CLIPTokenizer.from_pretrained(folder)
            whole = [row(tokenizer(unit * times)["input_ids"]) for unit, times in texts]
            cut = [row(tokenizer(unit * times, truncation=True, max_length=CONTEXT)["input_ids"]) for unit, times in texts]
            golden["folders"].append({"files": files, "ids": whole, "cut": cut})
    (out / "vocabulary.json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")


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
    vocabulary(out)


if __name__ == "__main__":
    if len(sys.argv) == 2:
        vocabulary(pathlib.Path(sys.argv[1]))
    else:
        main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
