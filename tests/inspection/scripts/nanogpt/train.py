"""Character-level GPT. Settings below can be overridden on the command line: python train.py --max_iters=100"""
import math
import os
import sys
import time
from ast import literal_eval
from contextlib import nullcontext

import numpy as np
import torch

from model import GPT, GPTConfig

# -----------------------------------------------------------------------------
out_dir = "out"
eval_interval = 20
eval_iters = 2
always_save_checkpoint = False
gradient_accumulation_steps = 2
batch_size = 6
block_size = 64
n_layer = 3
n_head = 4
n_embd = 64
learning_rate = 1e-3
max_iters = 40
weight_decay = 1e-1
grad_clip = 1.0
warmup_iters = 10
device = "cpu"
dtype = "float32"
for arg in sys.argv[1:]:
    key, val = arg.removeprefix("--").split("=")
    try:
        val = literal_eval(val)
    except ValueError:
        pass
    assert key in globals(), f"unknown setting {key}"
    globals()[key] = val
# -----------------------------------------------------------------------------
torch.manual_seed(1337)
ctx = nullcontext() if dtype == "float32" else torch.autocast(device, dtype=getattr(torch, dtype))
corpus = np.random.default_rng(0).integers(0, 96, 20000).astype(np.uint16)
splits = {"train": corpus[:18000], "val": corpus[18000:]}


def get_batch(split):
    data = splits[split]
    ix = torch.randint(len(data) - block_size, (batch_size,))
    x = torch.stack([torch.from_numpy(data[i:i + block_size].astype(np.int64)) for i in ix])
    y = torch.stack([torch.from_numpy(data[i + 1:i + 1 + block_size].astype(np.int64)) for i in ix])
    return x.to(device), y.to(device)


model = GPT(GPTConfig(block_size=block_size, n_layer=n_layer, n_head=n_head, n_embd=n_embd)).to(device)
optimizer = model.configure_optimizers(weight_decay, learning_rate, (0.9, 0.95))


@torch.no_grad()
def estimate_loss():
    model.eval()
    out = {}
    for split in ("train", "val"):
        losses = torch.zeros(eval_iters)
        for k in range(eval_iters):
            X, Y = get_batch(split)
            with ctx:
                _, loss = model(X, Y)
            losses[k] = loss.item()
        out[split] = losses.mean()
    model.train()
    return out


def get_lr(it):
    if it < warmup_iters:
        return learning_rate * it / warmup_iters
    return learning_rate * 0.5 * (1.0 + math.cos(math.pi * it / max_iters))


X, Y = get_batch("train")
iter_num, best_val_loss, t0 = 0, 1e9, time.time()
while True:
    for group in optimizer.param_groups:
        group["lr"] = get_lr(iter_num)
    if iter_num % eval_interval == 0:
        losses = estimate_loss()
        print(f"step {iter_num}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}")
        if losses["val"] < best_val_loss or always_save_checkpoint:
            best_val_loss = losses["val"]
            os.makedirs(out_dir, exist_ok=True)
            torch.save({"model": model.state_dict(), "iter_num": iter_num}, os.path.join(out_dir, "ckpt.pt"))
    for micro_step in range(gradient_accumulation_steps):
        with ctx:
            logits, loss = model(X, Y)
            loss = loss / gradient_accumulation_steps
        X, Y = get_batch("train")
        loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), grad_clip)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    iter_num += 1
    if iter_num >= max_iters:
        break
print(f"{time.time() - t0:.1f}s")
