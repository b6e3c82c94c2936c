"""Epoch marks of real trainings with torch, JAX and what is built on them, seen from outside, through the recorder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.capabilities import frameworks_python
from tests.injected.recorded import Row, record, rows

START = """
import os, sys, warnings
warnings.filterwarnings("ignore")
import torch
from torch.utils.data import DataLoader, IterableDataset, TensorDataset
torch.set_num_threads(1)
data = TensorDataset(torch.zeros(100, 4), torch.zeros(100, 1))
few = TensorDataset(torch.zeros(30, 4), torch.zeros(30, 1))
model = torch.nn.Linear(4, 1)
sgd = torch.optim.SGD(model.parameters(), lr=0.1)
def loss_of(x, y):
    return ((model(x) - y) ** 2).mean()
def train(x, y, optimizer=sgd):
    optimizer.zero_grad()
    loss_of(x, y).backward()
    optimizer.step()
"""

PLAIN = """
loader, held_out = DataLoader(data, batch_size=16), DataLoader(few, batch_size=10)
for x, y in loader: pass  # statistics of the data
for epoch in range(2):
    for x, y in loader: train(x, y)
    with torch.no_grad():
        for x, y in held_out: loss_of(x, y)
"""
TWO_PHASES = """
loader = DataLoader(data, batch_size=16)
for epoch in range(2):
    for x, y in loader: train(x, y)
adam = torch.optim.AdamW(model.parameters())
for epoch in range(2):
    for step, (x, y) in enumerate(loader):
        if step == 4: break
        train(x, y, adam)
"""
AMP = """
class Stream(IterableDataset):
    def __iter__(self): return iter([(torch.zeros(4), torch.zeros(1))] * 50)
loader, scaler = DataLoader(Stream(), batch_size=8), torch.amp.GradScaler("cpu")
for epoch in range(2):
    for x, y in loader:
        with torch.autocast("cpu", dtype=torch.bfloat16): loss = loss_of(x, y)
        scaler.scale(loss).backward(); scaler.step(sgd); scaler.update(); sgd.zero_grad()
"""
ACCUMULATION = """
for epoch in range(2):
    for step, (x, y) in enumerate(DataLoader(data, batch_size=10)):
        loss_of(x, y).backward()
        if step % 5 == 4: sgd.step(); sgd.zero_grad()
"""
WORKERS = """
if __name__ == "__main__":
    loader = DataLoader(data, batch_size=10, num_workers=1, persistent_workers=True)
    for epoch in range(2):
        for step, (x, y) in enumerate(loader):
            train(x, y)
            if step == 5:
                for a, b in DataLoader(few, batch_size=30): loss_of(a, b)
"""
ZIPPED = """
for epoch in range(2):
    for (x, y), (u, v) in zip(DataLoader(data, batch_size=10), DataLoader(few, batch_size=2)):
        train(x, y); loss_of(u, v)
"""
DISTRIBUTED = """
import torch.distributed as dist, torch.multiprocessing as mp
from torch.utils.data import DistributedSampler
def work(rank, store):
    dist.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
    spread = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(spread.parameters(), lr=0.1)
    for epoch in range(2):
        for x, y in DataLoader(data, batch_size=10, sampler=DistributedSampler(data)):
            optimizer.zero_grad(); spread(x).mean().backward(); optimizer.step()
    dist.barrier()
    os._exit(0)  # gloo's threads can keep a process that ends after its peer from ending at all
if __name__ == "__main__":
    mp.spawn(work, (os.path.abspath("store"),), 2)
"""
ACCELERATE = """
from accelerate import Accelerator
accelerator = Accelerator(cpu=True, gradient_accumulation_steps=2)
loader, held_out = DataLoader(data, batch_size=10), DataLoader(few, batch_size=30)
model, sgd, loader, held_out = accelerator.prepare(model, sgd, loader, held_out)
for epoch in range(2):
    for x, y in loader:
        with accelerator.accumulate(model):
            accelerator.backward(loss_of(x, y)); sgd.step(); sgd.zero_grad()
    for x, y in held_out: loss_of(x, y)
"""
LIGHTNING = """
import lightning
class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = model
    def training_step(self, batch, index): return loss_of(*batch)
    def validation_step(self, batch, index): self.log("loss", loss_of(*batch))
    def configure_optimizers(self): return sgd
trainer = lightning.Trainer(max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
                            enable_progress_bar=False, enable_model_summary=False)
trainer.fit(Module(), DataLoader(data, batch_size=16), DataLoader(few, batch_size=10))
assert not trainer.callbacks or all(type(c).__name__ != "EpochMarks" for c in trainer.callbacks)
"""
TRANSFORMERS = """
from transformers import Trainer, TrainingArguments
class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = model
    def forward(self, x=None, labels=None):
        return {"loss": loss_of(x, labels), "logits": self.layer(x)}
rows = [{"x": torch.zeros(4), "labels": torch.zeros(1)} for _ in range(100)]
arguments = TrainingArguments("out", num_train_epochs=2, per_device_train_batch_size=10, gradient_accumulation_steps=2,
    eval_strategy="epoch", save_strategy="no", report_to=[], use_cpu=True, disable_tqdm=True)
trainer = Trainer(Module(), arguments, train_dataset=rows, eval_dataset=rows[:30])
trainer.train()
assert "training_step" not in vars(trainer)
"""
NO_LOADER = """
for epoch in range(3):
    for x, y in zip(data.tensors[0].split(10), data.tensors[1].split(10)): train(x, y)
"""
KERAS_ON_TORCH = """
os.environ["KERAS_BACKEND"] = "torch"
import keras
network = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
network.compile("sgd", "mse")
network.fit(DataLoader(data, batch_size=15, drop_last=True), validation_data=DataLoader(few, batch_size=10), epochs=2,
            verbose=0)
"""
KERAS_ON_JAX = """
os.environ["KERAS_BACKEND"] = "jax"
import keras, numpy
x, y = numpy.zeros((100, 4), "float32"), numpy.zeros((100, 1), "float32")
inputs = keras.Input((4,))
network = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(3)(inputs)))
network.compile("adam", "mse")
network.fit([x], y, epochs=2, batch_size=16, verbose=0)
def batches():
    while True: yield x[:10], y[:10]
network.fit(batches(), steps_per_epoch=4, epochs=1, verbose=0)
"""


CASES: dict[str, tuple[str, str, list[Row]]] = {
    "plain": ("torch", PLAIN, [
        (0, 0, 7, 100, False), (0, 0, None, 30, True), (0, 1, 7, 100, False), (0, 1, None, 30, True)]),
    "two phases, the second left early": ("torch", TWO_PHASES, [
        (0, 0, 7, 100, False), (0, 1, 7, 100, False), (1, 0, 4, 80, False), (1, 1, 4, 80, False)]),
    "AMP, iterable data": ("torch", AMP, [(0, 0, 7, 50, False), (0, 1, 7, 50, False)]),
    "gradient accumulation": ("torch", ACCUMULATION, [(0, 0, 2, 100, False), (0, 1, 2, 100, False)]),
    "persistent workers, validation inside": ("torch", WORKERS, [(0, 0, 10, 100, False), (0, 1, 10, 100, False)]),
    "two loaders in step": ("torch", ZIPPED, [(0, 0, 10, 100, False), (0, 1, 10, 100, False)]),
    "DDP, two processes": ("torch", DISTRIBUTED, [(0, 0, 5, 100, False), (0, 1, 5, 100, False)]),
    "accelerate": ("accelerate", ACCELERATE, [
        (0, 0, 5, 100, False), (0, 0, None, 30, True), (0, 1, 5, 100, False), (0, 1, None, 30, True)]),
    "Lightning": ("lightning", LIGHTNING, [(0, 0, 7, 100, False), (0, 1, 7, 100, False)]),
    "Transformers": ("transformers", TRANSFORMERS, [
        (0, 0, 5, 100, False), (0, 0, None, 30, True), (0, 1, 5, 100, False), (0, 1, None, 30, True)]),
    "no loader: the run is one epoch": ("torch", NO_LOADER, []),
    "Keras on torch": ("keras", KERAS_ON_TORCH, [(0, 0, 6, 90, False), (0, 1, 6, 90, False)]),
    "Keras on JAX, functional, then a generator": ("keras", KERAS_ON_JAX, [
        (0, 0, 7, 100, False), (0, 1, 7, 100, False), (1, 0, 4, None, False)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_epochs_steps_and_samples(name: str, tmp_path: Path) -> None:
    """Every epoch of a training whose script knows nothing of us, with its steps and samples, and nothing else."""
    module, code, expected = CASES[name]
    python = frameworks_python("torch", module, *(["jax"] if "JAX" in name else []))
    if python is None:
        pytest.skip(f"no interpreter with torch and {module} (tests/frameworks.sh makes one)")
    done, trace = record(START + code, tmp_path, python=python)

    assert 0 == done.returncode, done.stderr
    assert expected == rows(trace)
    assert trace.footer is not None
    assert sum(not validation for *_, validation in expected) == trace.footer.epochs
