"""A training that its user wants stopped stops at the end of an epoch, by its framework's own means; and only then."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from advisor.telemetry.trace import Stop, Trace
from tests.capabilities import frameworks_python
from tests.injected.recorded import record

WATTS = 100.0

KERAS = """
import time
import numpy as np, keras
x, y = np.zeros((20, 4), "float32"), np.zeros((20, 1), "float32")
model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(1)])
model.compile("sgd", "mse")
class Slow(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None): time.sleep(0.3)
history = model.fit(x, y, epochs=200, verbose=0, callbacks=[Slow()])
print("ended after", len(history.epoch))
"""
TORCH = """
import time, sys
import torch
from torch.utils.data import DataLoader, TensorDataset
torch.set_num_threads(1)
data = TensorDataset(torch.zeros(20, 4), torch.zeros(20, 1))
model = torch.nn.Linear(4, 1)
sgd = torch.optim.SGD(model.parameters(), lr=0.1)
"""
LOOP = (
    TORCH
    + """
import signal
wanted = False
def stop(number, frame):
    global wanted
    wanted = True
signal.signal(signal.SIGUSR1, stop)
for epoch in range(int(sys.argv[1]) if len(sys.argv) > 1 else 12):
    for x, y in DataLoader(data, batch_size=10):
        time.sleep(0.15); sgd.zero_grad(); ((model(x) - y) ** 2).mean().backward(); sgd.step()
    if wanted: break
print("ended after", epoch + 1)
"""
)
LIGHTNING = (
    TORCH
    + """
import lightning
class Module(lightning.LightningModule):
    def __init__(self):
        super().__init__()
        self.layer = model
    def training_step(self, batch, index):
        time.sleep(0.15)
        loss = ((self.layer(batch[0]) - batch[1]) ** 2).mean()
        self.log("train_loss", loss)
        return loss
    def configure_optimizers(self): return sgd
trainer = lightning.Trainer(max_epochs=200, accelerator="cpu", logger=False, enable_checkpointing=False,
                            enable_progress_bar=False, enable_model_summary=False)
trainer.fit(Module(), DataLoader(data, batch_size=10))
print("ended after", trainer.current_epoch)
"""
)
TRANSFORMERS = (
    TORCH
    + """
from transformers import Trainer, TrainingArguments
class Module(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = model
    def forward(self, x=None, labels=None):
        time.sleep(0.15)
        return {"loss": ((self.layer(x) - labels) ** 2).mean(), "logits": self.layer(x)}
rows = [{"x": torch.zeros(4), "labels": torch.zeros(1)} for _ in range(20)]
arguments = TrainingArguments("out", num_train_epochs=200, per_device_train_batch_size=10, save_strategy="no",
    logging_strategy="epoch", report_to=[], use_cpu=True, disable_tqdm=True)
trainer = Trainer(Module(), arguments, train_dataset=rows)
trainer.train()
print("ended after", round(trainer.state.epoch))
"""
)


def readings(folder: Path) -> Path:
    """One GPU that draws 100 W for ten minutes."""
    gpu = {"uuid": "GPU-1", "name": "NVIDIA A100", "has_energy_counter": True, "memory_bytes": None}
    lines: list[dict[str, object]] = [{"gpus": [{**gpu, "power_limit_w": None}]}]
    lines += [
        {"time_s": tick / 20, "gpus": [[WATTS, WATTS * tick / 20, 0.5, 0, 40.0, 1000, 0]]} for tick in range(12_000)
    ]
    path = folder / "readings.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


def told(trace: Trace) -> Stop:
    """The stop as it was written once the training had been told."""
    return next(stop for stop in trace.stops if stop.by is not None)


@pytest.mark.tensorflow
def test_keras_stops_after_the_epoch_that_passes_the_budget(tmp_path: Path) -> None:
    """At 100 W a budget of 100 J is soon spent: the script ends by itself, with status 0, long before 200 epochs."""
    options = ("--gpu-readings", str(readings(tmp_path)), "--energy-budget", "100", "--interval", "0.2")
    done, trace = record(KERAS, tmp_path, options=options, KERAS_BACKEND="tensorflow")

    assert 0 == done.returncode, done.stderr
    assert f"ended after {len(trace.epochs)}" in done.stdout
    assert ("energy_budget", "keras") == (told(trace).rule, told(trace).by)
    # A word that comes late, on a busy machine, is heeded one epoch later.
    assert 1 <= len(trace.epochs) - told(trace).index <= 2
    assert "the training is told to stop (keras)" in done.stderr


@pytest.mark.tensorflow
def test_keras_stops_where_nothing_more_is_gained(tmp_path: Path) -> None:
    """On zeros the loss cannot fall: three epochs without a gain are enough."""
    options = ("--gpu-readings", str(readings(tmp_path)), "--min-gain", "0.001:loss:3")
    done, trace = record(KERAS, tmp_path, options=options, KERAS_BACKEND="tensorflow")

    assert 0 == done.returncode, done.stderr
    assert ("gain_per_kj", "keras") == (told(trace).rule, told(trace).by)
    assert len(trace.epochs) in {4, 5}


@pytest.mark.tensorflow
def test_nothing_is_stopped_that_nobody_asked_for(tmp_path: Path) -> None:
    """Without a rule the hook asks nothing, and the training takes all its epochs."""
    code = KERAS.replace("epochs=200", "epochs=4")
    done, trace = record(
        code, tmp_path, options=("--gpu-readings", str(readings(tmp_path))), KERAS_BACKEND="tensorflow"
    )

    assert ("ended after 4\n", ()) == (done.stdout, trace.stops)


@pytest.mark.parametrize(
    ("module", "code", "by"),
    [
        ("torch", LOOP, "signal USR1"),
        ("lightning", LIGHTNING, "lightning"),
        ("transformers", TRANSFORMERS, "transformers"),
    ],
)
def test_every_framework_is_stopped_in_its_own_way(module: str, code: str, by: str, tmp_path: Path) -> None:
    """A loop of one's own gets the signal that its user named, once, at the end of an epoch."""
    python = frameworks_python("torch", module)
    if python is None:
        pytest.skip(f"no interpreter with torch and {module} (tests/frameworks.sh makes one)")
    rule = ("--energy-budget", "80", "--budget-signal", "USR1", "--interval", "0.2")
    done, trace = record(code, tmp_path, python=python, options=("--gpu-readings", str(readings(tmp_path)), *rule))

    assert 0 == done.returncode, done.stderr
    assert f"ended after {len(trace.epochs)}" in done.stdout
    assert ("energy_budget", by) == (told(trace).rule, told(trace).by)
    assert len(trace.epochs) < 12
    assert 1 == sum(stop.by is not None for stop in trace.stops)


def test_a_loop_without_a_named_signal_goes_on(tmp_path: Path) -> None:
    """It cannot be stopped from outside without harm; the trace says so."""
    python = frameworks_python("torch")
    if python is None:
        pytest.skip("no interpreter with torch (tests/frameworks.sh makes one)")
    options = ("--gpu-readings", str(readings(tmp_path)), "--energy-budget", "1")
    done, trace = record(LOOP.replace("else 12", "else 3"), tmp_path, python=python, options=options)

    assert "ended after 3\n" == done.stdout
    assert "none: a loop of the script's own" == told(trace).by


def test_a_sampler_that_dies_stops_nothing(tmp_path: Path) -> None:
    """No answer is "go on", and nobody waits for one longer than a moment."""
    python = frameworks_python("torch")
    if python is None:
        pytest.skip("no interpreter with torch (tests/frameworks.sh makes one)")
    kill = """
import os
parent = os.getppid()
for pid in filter(str.isdigit, os.listdir("/proc")):
    try:
        with open(f"/proc/{pid}/stat") as file: fields = file.read().rpartition(")")[2].split()
        if int(fields[1]) == parent and int(pid) != os.getpid(): os.kill(int(pid), signal.SIGKILL)
    except OSError: continue
"""
    options = ("--gpu-readings", str(readings(tmp_path)), "--energy-budget", "1", "--budget-signal", "TERM")
    done, _trace = record(
        LOOP.replace("else 12", "else 3").replace("import signal\n", "import signal\n" + kill),
        tmp_path,
        python=python,
        options=options,
    )

    assert (0, "ended after 3\n") == (done.returncode, done.stdout), done.stderr
