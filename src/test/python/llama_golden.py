"""Writes src/test/resources/golden/teacher: what transformers' LlamaModel and MistralModel compute for seeded weights.

Run with torch and transformers installed:  python src/test/python/llama_golden.py [stories260K folder | name of a case]
The weights are not stored: they are a formula that LlamaGoldenTest evaluates too. Every caption is
run alone, so the reference knows no padding.
"""

import json
import pathlib
import sys

import numpy
import safetensors.torch
import torch
import transformers

OUT = pathlib.Path("src/test/resources/golden/teacher")
BASE = dict(
    model_type="llama",
    vocab_size=50,
    hidden_size=64,
    intermediate_size=96,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=4,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    rope_theta=10000.0,
    hidden_act="silu",
    tie_word_embeddings=False,
)
CASES = {
    "heads16": dict(num_hidden_layers=1),
    "heads16-grouped": dict(
        hidden_size=96, num_attention_heads=6, num_key_value_heads=2, rope_theta=500000.0, rms_norm_eps=1e-6
    ),
    "heads64-tied": dict(
        hidden_size=128, num_attention_heads=2, num_key_value_heads=1, num_hidden_layers=4, tie_word_embeddings=True
    ),
    "heads128-biases": dict(
        num_attention_heads=2, num_key_value_heads=1, head_dim=128, attention_bias=True, mlp_bias=True
    ),
    "deep": dict(hidden_size=32, intermediate_size=48, num_attention_heads=2, num_key_value_heads=2, num_hidden_layers=12),
    "rope-linear": dict(
        num_attention_heads=2,
        num_key_value_heads=2,
        rope_theta=None,
        rope_parameters=dict(rope_type="linear", factor=4.0, rope_theta=20000.0),
    ),
    "rope-llama3": dict(
        num_attention_heads=2,
        rope_scaling=dict(
            rope_type="llama3",
            factor=8.0,
            low_freq_factor=1.0,
            high_freq_factor=4.0,
            original_max_position_embeddings=32,
        ),
        num_key_value_heads=1,
        rope_theta=500.0,
    ),
    # The longest caption has 34 tokens, the test asks for 64: no state sees farther back than the window.
    "mistral": dict(
        model_type="mistral", num_key_value_heads=2, head_dim=24, sliding_window=64, rope_theta=1000000.0
    ),
}


def mixed(x):
    """SplitMix64 of each element."""
    x = x + numpy.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
    return x ^ (x >> numpy.uint64(31))


def formula(number, name, shape):
    """Values of the tensor that is `number`-th by name: 24 random bits, scaled by kind."""
    count = int(numpy.prod(shape))
    index = (numpy.uint64(number) << numpy.uint64(32)) + numpy.arange(count, dtype=numpy.uint64)
    uniform = (mixed(index) >> numpy.uint64(40)).astype(numpy.float32) / numpy.float32(2**23) - numpy.float32(1)
    if "norm" in name:
        values = numpy.float32(1) + uniform * numpy.float32(0.25)
    elif "embed" in name:
        values = uniform
    else:
        values = uniform * numpy.float32(0.25)
    return torch.from_numpy(values.reshape(shape))


def reference(model, captions, out):
    bf16 = None
    with torch.no_grad():
        truth = []
        for number, ids in enumerate(captions):
            states = model(torch.tensor([ids]), output_hidden_states=True).hidden_states
            out[f"ids.{number}"] = torch.tensor(ids)
            out[f"last.{number}"] = states[-1][0].clone()
            if number == 0:
                for layer, state in enumerate(states[:-1]):
                    out[f"layer{layer}"] = state[0].clone()
            truth.append(states[-1][0])
        low = model.to(torch.bfloat16)
        squares, count, largest = 0.0, 0, 0.0
        for ids, exact in zip(captions, truth):
            error = low(torch.tensor([ids])).last_hidden_state[0].double() - exact.double()
            squares += float((error**2).sum())
            count += error.numel()
            largest = max(largest, float(error.abs().max()))
    out["bf16.rms"] = torch.tensor([(squares / count) ** 0.5], dtype=torch.float64)
    out["bf16.max"] = torch.tensor([largest], dtype=torch.float64)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(2)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__}
    only = sys.argv[1] if len(sys.argv) > 1 and sys.argv[1] in CASES else None
    for name, changes in CASES.items():
        if only not in (None, name):
            continue
        config = {k: v for k, v in (BASE | changes).items() if v is not None}
        family = "Mistral" if config["model_type"] == "mistral" else "Llama"
        shape = getattr(transformers, family + "Config")(**config, attn_implementation="eager", dtype="float32")
        model = getattr(transformers, family + "Model")(shape).eval()
        state = model.state_dict()
        for number, key in enumerate(sorted(state)):
            state[key] = formula(number, key, state[key].shape)
        model.load_state_dict(state)
        ids = numpy.random.default_rng(7)
        captions = [ids.integers(2, config["vocab_size"], n).tolist() for n in (5, 1, 13, 33)]
        out = {}
        reference(model, [[1] + c for c in captions], out)
        (OUT / f"{name}.json").write_text(json.dumps(config, indent=1) + "\n")
        safetensors.torch.save_file(out, OUT / f"{name}.safetensors", metadata=versions)
        print(name, float(out["bf16.rms"]), float(out["bf16.max"]), float(out["last.3"].abs().max()))
    if len(sys.argv) > 1 and only is None:
        model = transformers.LlamaModel.from_pretrained(sys.argv[1], dtype=torch.float32, attn_implementation="eager").eval()
        tokenizer = transformers.AutoTokenizer.from_pretrained(sys.argv[1])
        captions = ["A child in a pink dress is climbing up a set of stairs .", "A dog runs .", "Zoë’s café, 東京 🙂"]
        out = {}
        reference(model, [tokenizer(c)["input_ids"] for c in captions], out)
        safetensors.torch.save_file(out, OUT / "stories260K.safetensors", metadata=versions)
        print("stories260K", float(out["bf16.rms"]), float(out["bf16.max"]), float(out["last.0"].abs().max()))


main()
