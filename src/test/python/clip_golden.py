"""Writes src/test/resources/golden/model/*.json: what transformers' CLIPModel and torch.optim.AdamW give, in float64.

Run from the project's root with torch and transformers. Weights and inputs are formulas (see `values`), so that only results are kept:
features, losses, and for each parameter its gradient's norm, two projections and a few elements.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import CLIPConfig, CLIPModel

OUT = Path("src/test/resources/golden/model")
MASK = (1 << 64) - 1


def fnv(text):
    h = 0xCBF29CE484222325
    for b in text.encode():
        h = ((h ^ b) * 0x100000001B3) & MASK
    return h


def values(name, shape):
    """Uniform in [-1, 1): SplitMix64 started at FNV-1a of the name."""
    n = int(np.prod(shape))
    with np.errstate(over="ignore"):
        z = np.uint64(fnv(name)) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return torch.from_numpy((z >> np.uint64(11)).astype(np.float64) * 2.0**-52 - 1).reshape(shape)


def weight(name, shape):
    if name == "logit_scale":
        return torch.tensor(2.0, dtype=torch.float64)
    if "norm" in name and name.endswith(".weight"):
        return 1 + 0.2 * values(name, shape)
    return 0.3 * values(name, shape)


def config(proj, text, vision, act, eps=1e-5, eos=None):
    vocab = text["vocab_size"]
    t = dict(num_hidden_layers=2, intermediate_size=40, hidden_act=act, layer_norm_eps=eps, bos_token_id=vocab - 2)
    t.update(text, eos_token_id=vocab - 1 if eos is None else eos, pad_token_id=0)
    v = dict(num_hidden_layers=2, intermediate_size=56, hidden_act=act, layer_norm_eps=eps)
    v.update(vision)
    return dict(model_type="clip", projection_dim=proj, logit_scale_init_value=2.0, text_config=t, vision_config=v)


CASES = {
    "patch8-quick": config(
        16,
        dict(vocab_size=64, max_position_embeddings=12, hidden_size=24, num_attention_heads=2),
        dict(image_size=32, patch_size=8, hidden_size=32, num_attention_heads=4),
        "quick_gelu",
    ),
    "patch14-gelu": config(
        20,
        dict(vocab_size=50, max_position_embeddings=10, hidden_size=32, num_attention_heads=4),
        dict(image_size=42, patch_size=14, hidden_size=24, num_attention_heads=3),
        "gelu",
        eps=1e-3,
    ),
    "patch16-legacy-end": config(
        12,
        dict(vocab_size=40, max_position_embeddings=9, hidden_size=16, num_attention_heads=1, num_hidden_layers=1),
        dict(image_size=40, patch_size=16, hidden_size=16, num_attention_heads=2, num_hidden_layers=3),
        "quick_gelu",
        eos=2,
    ),
    "patch32-one-layer": config(
        8,
        dict(vocab_size=33, max_position_embeddings=16, hidden_size=48, num_attention_heads=3, num_hidden_layers=3),
        dict(image_size=64, patch_size=32, hidden_size=40, num_attention_heads=5, num_hidden_layers=1),
        "gelu",
    ),
}
VECTORS = "patch16-legacy-end"
CAPTIONS = [[5, 7, 9], [3], [4, 4, 6, 8, 10, 1], [11, 12], [13, 14, 15, 16, 17]]
IMAGES = [0, 0, 1, 2, 3]  # The first two rows are captions of one image.
TEACHER = 6
CONCEPTS = 7
KEPT = 3
WEIGHTS = dict(emb=1.0, concept=0.25, contrastive=0.5)


def fingerprint(name, tensor):
    flat = tensor.detach().double().reshape(-1)
    step = max(1, flat.numel() // 5)
    return dict(
        norm=flat.norm().item(),
        projections=[torch.dot(flat, values(f"{name}/{k}", (flat.numel(),))).item() for k in range(2)],
        elements=flat[::step].tolist(),
    )


def unit(x):
    return x / x.norm(dim=-1, keepdim=True)


def losses(model, heads, inputs, shared):
    text = model.get_text_features(input_ids=inputs["ids"], attention_mask=inputs["attention"])
    image = model.get_image_features(pixel_values=inputs["pixels"])
    text = text if torch.is_tensor(text) else text.pooler_output
    image = image if torch.is_tensor(image) else image.pooler_output
    emb = (text @ heads["embedding_head.weight"] - inputs["teacher"]).pow(2).sum(1).mean()
    soft = torch.zeros(len(CAPTIONS), CONCEPTS, dtype=torch.float64).scatter_add(1, inputs["concepts"], inputs["concept_weights"])
    image_head = heads["concept_head.weight" if shared else "image_concept_head.weight"]
    concept = torch.nn.functional.cross_entropy(text @ heads["concept_head.weight"], soft)
    concept = concept + torch.nn.functional.cross_entropy(image @ image_head, soft)
    logits = model.logit_scale.exp() * unit(text) @ unit(image).T
    same = torch.tensor(IMAGES)[:, None] == torch.tensor(IMAGES)[None]
    logits = logits.masked_fill(same & ~torch.eye(len(IMAGES), dtype=torch.bool), -math.inf)
    labels = torch.arange(len(IMAGES))
    contrastive = (torch.nn.functional.cross_entropy(logits, labels) + torch.nn.functional.cross_entropy(logits.T, labels)) / 2
    parts = dict(emb=emb, concept=concept, contrastive=contrastive)
    parts["loss"] = sum(WEIGHTS[k] * parts[k] for k in WEIGHTS)
    return text, image, parts


def case(name, json_config):
    shared = name != "patch14-gelu"
    cfg = CLIPConfig(**{k: v for k, v in json_config.items() if k != "model_type"})
    model = CLIPModel(cfg).double().eval()
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(weight(key, parameter.shape))
    proj = json_config["projection_dim"]
    shapes = {"embedding_head.weight": (proj, TEACHER), "concept_head.weight": (proj, CONCEPTS)}
    if not shared:
        shapes["image_concept_head.weight"] = (proj, CONCEPTS)
    heads = {k: torch.nn.Parameter(weight(k, s)) for k, s in shapes.items()}
    t = json_config["text_config"]
    start, end = t["bos_token_id"], t["vocab_size"] - 1
    rows = [[start] + c + [end] for c in CAPTIONS]
    # The full context, padded with the end token as CLIP's own tokenizer pads: cutting to the longest caption must change nothing.
    ids = torch.tensor([r + [end] * (t["max_position_embeddings"] - len(r)) for r in rows])
    attention = torch.tensor([[1] * len(r) + [0] * (t["max_position_embeddings"] - len(r)) for r in rows])
    side = json_config["vision_config"]["image_size"]
    n = len(CAPTIONS)
    kept = values("concept_weights", (n, KEPT)).abs() + 0.1
    inputs = dict(
        ids=ids,
        attention=attention,
        pixels=2 * values("pixels", (n, 3, side, side)),
        teacher=values("teacher", (n, TEACHER)),
        concepts=torch.tensor([[(3 * i + 2 * k) % CONCEPTS for k in range(KEPT)] for i in range(n)]),
        concept_weights=kept / kept.sum(1, keepdim=True),
    )
    with torch.no_grad():
        inputs["pixels"][1] = inputs["pixels"][0]
    text, image, parts = losses(model, heads, inputs, shared)
    parts["loss"].backward()
    everything = dict(model.named_parameters()) | heads
    result = dict(
        config=json_config,
        captions=rows,
        images=IMAGES,
        teacher=TEACHER,
        concepts=inputs["concepts"].tolist(),
        concept_weights=inputs["concept_weights"].tolist(),
        concept_count=CONCEPTS,
        shared=shared,
        weights=WEIGHTS,
        text=text.reshape(-1).tolist(),
        image=image.reshape(-1).tolist(),
        parts={k: v.item() for k, v in parts.items()},
        gradients={k: fingerprint(k, p.grad) for k, p in everything.items()},
    )
    settings = dict(lr=1e-3, beta1=0.9, beta2=0.98, eps=1e-6, weight_decay=0.2, clip=1.0, warmup=5, steps=20)
    optimizer = torch.optim.AdamW(
        [
            dict(params=[p for p in everything.values() if p.ndim >= 2], weight_decay=settings["weight_decay"]),
            dict(params=[p for p in everything.values() if p.ndim < 2], weight_decay=0.0),
        ],
        betas=(settings["beta1"], settings["beta2"]),
        eps=settings["eps"],
    )
    history, norms = [], []
    first = torch.cat([p.grad.reshape(-1) for p in everything.values()])
    for step in range(settings["steps"]):
        warmup, total = settings["warmup"], settings["steps"]
        lr = settings["lr"] * (
            (step + 1) / warmup if step < warmup else 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))
        )
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        parts = losses(model, heads, inputs, shared)[2]
        parts["loss"].backward()
        norms.append(torch.nn.utils.clip_grad_norm_(everything.values(), settings["clip"]).item())
        optimizer.step()
        history.append(parts["loss"].item())
    result["training"] = dict(
        settings, losses=history, norms=norms, parameters={k: fingerprint(k, p) for k, p in everything.items()}
    )
    vectors = dict(
        gradient=first, parameters=torch.cat([p.detach().reshape(-1) for p in everything.values()])
    )
    return result, vectors


OUT.mkdir(parents=True, exist_ok=True)
for name, json_config in CASES.items():
    path = OUT / f"{name}.json"
    result, vectors = case(name, json_config)
    path.write_text(json.dumps(result, separators=(",", ":")) + "\n")
    print(path, path.stat().st_size)
    if name == VECTORS:
        # Element by element: the first gradient, and the parameters after the steps, in the order of `gradients`.
        save_file(vectors, path.with_suffix(".safetensors"))
