"""The peers' side of the benchmarks (io.github.kklip.bench.Bench starts it): prints READY when the model is loaded and
warm, works off one block for each line on standard input, and says its peak of resident memory at the end.

    python peer.py THREADS train MODEL BATCH float32|bfloat16 DEVICE open_clip, as open_clip_train has its step
    python peer.py THREADS embed FOLDER CAPTIONS TYPE ORDER COUNT DEVICE   transformers, batches of 64
    python peer.py THREADS images FOLDER                             Pillow on one thread
"""

import io
import json
import pathlib
import sys
import time


def train(model, batch, dtype, device):
    import torch
    import open_clip
    from open_clip.loss import ClipLoss
    from open_clip.model import CLIP

    torch.manual_seed(0)
    kind = torch.device(device).type
    if model == "small":
        student = CLIP(
            192,
            dict(image_size=64, layers=6, width=192, patch_size=8, head_width=64),
            dict(context_length=32, vocab_size=8192, width=192, heads=3, layers=6),
            output_dict=True,
        )
        side, context, vocabulary = 64, 32, 8192
    else:
        student = open_clip.create_model("ViT-B-32", output_dict=True)
        side, context, vocabulary = student.visual.image_size[0], student.context_length, student.vocab_size
    student.to(device).train()
    pixels = torch.randn(int(batch), 3, side, side).to(device)
    tokens = torch.randint(1, vocabulary - 2, (int(batch), context)).to(device)
    tokens[:, -1] = vocabulary - 1
    plain = lambda name, p: p.ndim < 2 or "bn" in name or "ln" in name or "bias" in name or "logit_scale" in name
    named = list(student.named_parameters())
    optimizer = torch.optim.AdamW(
        [
            dict(params=[p for n, p in named if plain(n, p)], weight_decay=0.0),
            dict(params=[p for n, p in named if not plain(n, p)], weight_decay=0.2),
        ],
        lr=1e-4, betas=(0.9, 0.98), eps=1e-6,
    )
    loss_of = ClipLoss(local_loss=False)

    def block():
        start = time.perf_counter()
        optimizer.zero_grad()
        with torch.autocast(kind, torch.bfloat16, enabled=dtype == "bfloat16"):
            out = student(pixels, tokens)
            loss = loss_of(out["image_features"], out["text_features"], out["logit_scale"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            student.logit_scale.clamp_(0, 4.6052)
        if kind == "cuda":
            torch.cuda.synchronize()
        return dict(items=int(batch), seconds=time.perf_counter() - start)

    return block


def embed(folder, captions, dtype, order, count, device):
    import tokenizers
    import torch
    import transformers

    model = transformers.LlamaModel.from_pretrained(folder, dtype=getattr(torch, dtype)).eval().to(device)
    tokenizer = tokenizers.Tokenizer.from_file(f"{folder}/tokenizer.json")
    lines = pathlib.Path(captions).read_text().splitlines()[: int(count)]

    def run(lines):
        ids = [e.ids for e in tokenizer.encode_batch(lines)]
        places = sorted(range(len(ids)), key=lambda i: -len(ids[i])) if order == "sorted" else range(len(ids))
        out = torch.empty(len(ids), model.config.hidden_size)
        for start in range(0, len(ids), 64):
            rows = list(places[start : start + 64])
            longest = max(len(ids[i]) for i in rows)
            x = torch.zeros(len(rows), longest, dtype=torch.long)
            mask = torch.zeros(len(rows), longest, dtype=torch.long)
            for r, i in enumerate(rows):
                x[r, : len(ids[i])] = torch.tensor(ids[i])
                mask[r, : len(ids[i])] = 1
            states = model(input_ids=x.to(device), attention_mask=mask.to(device), use_cache=False).last_hidden_state.float().cpu()
            weights = mask.clone()
            weights[:, 0] = 0
            out[rows] = (states * weights.unsqueeze(-1)).sum(1) / weights.sum(1, keepdim=True)
        return out

    def peak():
        x, w = torch.randn(2048, 1024).to(model.dtype), torch.randn(2752, 1024).to(model.dtype)
        best = 0
        for _ in range(5):
            start = time.perf_counter()
            torch.nn.functional.linear(x, w)
            best = max(best, 2 * 2048 * 1024 * 2752 / (time.perf_counter() - start) / 1e9)
        return best

    state = {"warm": False}

    def block():
        part = lines if state["warm"] else lines[:64]
        state["warm"] = True
        with torch.inference_mode():
            gemm = peak()
            start = time.perf_counter()
            out = run(part)
            seconds = time.perf_counter() - start
        tokens = sum(len(line.split()) + 1 for line in part)
        flops = 2 * (sum(p.numel() for p in model.layers.parameters()) * tokens) / seconds / 1e9
        check = out[:, 7].abs().mean().item()
        return dict(items=len(part), seconds=seconds, gemm_gflops=gemm, gflops=flops, check=check)

    return block


def images(folder):
    import numpy as np
    from PIL import Image

    files = [path.read_bytes() for path in sorted(pathlib.Path(folder).iterdir())]
    mean = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
    std = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
    scale, offset = 1 / (255 * std), mean / std

    def block():
        for file in files * 4:
            image = Image.open(io.BytesIO(file)).convert("RGB")
            width, height = image.size
            short = min(width, height)
            width, height = 224 * width // short, 224 * height // short
            left, top = (width - 224) // 2, (height - 224) // 2
            image = image.resize((width, height), Image.BICUBIC).crop((left, top, left + 224, top + 224))
            np.ascontiguousarray((np.asarray(image) * scale - offset).transpose(2, 0, 1))
        return dict(items=4 * len(files))

    return block


threads, kind, *rest = sys.argv[1:]
if kind != "images":
    import torch

    torch.set_num_threads(int(threads))
work = {"train": train, "embed": embed, "images": images}[kind](*rest)
work()
print("READY", flush=True)
for _ in sys.stdin:
    begin = time.perf_counter()
    figures = work()
    figures.setdefault("seconds", time.perf_counter() - begin)
    print(json.dumps(figures), flush=True)
status = pathlib.Path("/proc/self/status").read_text()
print(json.dumps(dict(peak_rss_mib=int(status.split("VmHWM:")[1].split()[0]) // 1024)), flush=True)
