"""From a script to its facts: the decisions, and real dry runs of real Keras scripts."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from advisor.errors import UsageError
from advisor.inspection.dry_run import DryRun, dry_run, read_messages
from advisor.inspection.inspect import ScriptToInspect, inspect, probed_facts
from advisor.inspection.source_code import read_source
from advisor.inspection.workload import Fact, Source, Workload

ROOT = Path(__file__).parents[2]


def run(path: Path, *arguments: str) -> DryRun:
    """A dry run in this interpreter."""
    return dry_run(path, arguments, interpreter=(sys.executable,), environment=dict(os.environ), unconfined=True)


def found(*phases: dict[str, Any], ended: str = "end", notes: tuple[str, ...] = ()) -> DryRun:
    """A dry run that found these phases."""
    return DryRun(phases=phases, notes=notes, ended=ended, seconds=1.0)


def values(workload: Workload) -> dict[str, object]:
    """The known facts."""
    return {name: fact.value for name, fact in workload.facts() if fact.source is not Source.UNKNOWN}


@pytest.mark.tensorflow
def test_example_is_read_to_the_last_fact() -> None:
    """The shipped script, unmodified, with its arguments; FLOPs are held against a count by hand."""
    script = ScriptToInspect(
        path=ROOT / "docs" / "examples" / "train_keras.py",
        arguments=("--epochs", "7", "--samples", "1000"),
        interpreter=(sys.executable,),
    )
    told: list[str] = []
    workload = inspect(
        script,
        options={"optimizer": "sgd"},
        directives={"epochs": "9"},
        probe="on",
        environment=dict(os.environ),
        tell=told.append,
    )
    convolutions = 2 * (32 * 32 * 32 * 27 + 16 * 16 * 64 * 32 * 9 + 8 * 8 * 128 * 64 * 9)

    assert {
        "framework": "tensorflow", "model_name": "small_cnn", "parameters": 95696, "trainable_parameters": 95504,
        "input_shape": (32, 32, 3), "batch_size": 64, "train_samples": 1000, "validation_samples": 125, "epochs": 9,
        "optimizer": "sgd", "precision": "float32",
    }.items() <= values(workload).items()  # fmt: skip
    assert pytest.approx(convolutions + 2 * 128 * 16, rel=0.01) == workload.forward_flops_per_sample.value
    assert (Source.DIRECTIVE, Source.OPTION) == (workload.epochs.source, workload.optimizer.source)
    assert 1 == len(told)


FROZEN = """
import sys, os, numpy as np, keras, tensorflow as tf
base = keras.applications.MobileNetV2(weights="imagenet", include_top=False, input_shape=(96, 96, 3))
base.trainable = False
model = keras.Sequential([base, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(5)], name="tuned")
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
data = tf.data.Dataset.from_tensor_slices((np.zeros((50, 96, 96, 3), "float32"), np.zeros(50))).batch(16)
history = model.fit(data, epochs=4, steps_per_epoch=None)
print(history.history["loss"][-1])
base.trainable = True
model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
model.fit(data, epochs=3, callbacks=[keras.callbacks.EarlyStopping()])
open(os.path.join(os.path.dirname(__file__), "written"), "w").write("x")
"""


LSTM = """
import keras
import numpy as np

x, y = np.zeros((1200, 64), "int64"), np.zeros(1200)
layers = [keras.layers.Embedding(5000, 32), keras.layers.LSTM(48), keras.layers.Dense(1)]
model = keras.Sequential(layers)
model.compile("rmsprop", "mse")
model.fit(x, y, batch_size=24, epochs=7, validation_split=0.25)
"""


@pytest.mark.tensorflow
def test_frozen_then_fine_tuned(tmp_path: Path) -> None:
    """Two phases of one network: epochs add up, pretrained weights are not fetched, the dearest phase counts."""
    script = tmp_path / "tune.py"
    script.write_text(FROZEN, encoding="utf-8")
    result = run(script)
    facts, notes = probed_facts(result)

    assert 2 == len(result.phases)
    assert (7, 50, 16) == tuple(facts[name].value for name in ("epochs", "train_samples", "batch_size"))
    assert result.phases[0]["training_flops_per_sample"] < 1.1 * result.phases[0]["forward_flops_per_sample"]
    assert result.phases[1]["training_flops_per_sample"] > 2.5 * result.phases[1]["forward_flops_per_sample"]
    assert any("early" in note for note in notes)
    assert not (tmp_path / "written").exists()


def test_mistake_of_the_script_is_an_answer(tmp_path: Path) -> None:
    """What Python says of it is handed on, with the line."""
    script = tmp_path / "wrong.py"
    script.write_text("import json\njson.loads('{')\n", encoding="utf-8")
    result = run(script)
    _facts, notes = probed_facts(result)

    assert "wrong.py:2" in result.ended
    assert "JSONDecodeError" in notes[0]


def test_lines_that_are_none_of_ours_are_passed_over() -> None:
    """The script holds the descriptor too, and may write to it what it likes."""
    text = 'garbage\n[1]\n{"phase": 1, "facts": {"epochs": 3}}\n{"phase": "x", "facts": 1}\n{"ended": "end"}\n'
    text += '{"phase": 1, "facts": {"epochs": NaN, "layers": 1e999, "optimizer": "' + "x" * 9999 + '"}}\n'

    assert (({"epochs": 3},), (), "end") == read_messages(text)


def test_folds_of_unequal_size_are_one_training() -> None:
    """The folds of a cross-validation differ by a sample; their epochs add up all the same."""
    fold = {"epochs": 10, "parameters": 161, "train_samples": 83}
    facts, _notes = probed_facts(found(fold, fold, {**fold, "train_samples": 82}))

    assert Fact(30, Source.PROBE) == facts["epochs"]


@pytest.mark.tensorflow
def test_recurrent_network_built_by_fit_is_counted_once(tmp_path: Path) -> None:
    """A loop counts its body times its length, and building the model in fit adds nothing: hand counts."""
    script = tmp_path / "lstm.py"
    script.write_text(LSTM, encoding="utf-8")
    facts, _notes = probed_facts(run(script))

    embedding, states, head = 64 * 32, 48, 1
    matrix_products = 64 * 2 * (32 + 48) * 4 * 48 + 2 * 48
    assert 3 == facts["layers"].value
    assert embedding + states + head == facts["activation_elements"].value
    assert matrix_products == facts["forward_flops_per_sample"].value
    assert 900 == facts["train_samples"].value


def test_phases_of_a_training_cost_together_what_they_cost() -> None:
    """The dear phase is short and the cheap one long: the mean over epochs gives the whole its cost."""
    frozen = {"parameters": 10, "trainable_parameters": 2, "train_samples": 80, "epochs": 6, "steps": 30,
              "training_flops_per_sample": 100.0, "optimizer": "adam"}  # fmt: skip
    tuned = {**frozen, "trainable_parameters": 10, "epochs": 2, "steps": 10, "training_flops_per_sample": 300.0}
    facts, _notes = probed_facts(found(frozen, tuned))

    assert (8, 40, 150.0, 10) == tuple(
        facts[name].value for name in ("epochs", "steps", "training_flops_per_sample", "trainable_parameters")
    )


def test_a_training_without_an_end_keeps_its_network() -> None:
    """What was found before a script failed in its loop is true, only how long it trains is not known."""
    facts, _notes = probed_facts(found({"parameters": 10, "batch_size": 8, "optimizer": "adam"}, ended="error x"))

    assert {"parameters", "batch_size", "optimizer"} == facts.keys()


def test_other_networks_are_not_added_up() -> None:
    """A GAN's second network or a fold of other size is noted, never silently mixed in."""
    first = {"epochs": 2, "parameters": 10, "train_samples": 100, "training_flops_per_sample": 5.0}
    facts, notes = probed_facts(found(first, {**first, "parameters": 999, "training_flops_per_sample": 50.0}))

    assert Fact(2, Source.PROBE) == facts["epochs"]
    assert Fact(999, Source.PROBE) == facts["parameters"]
    assert "not counted" in notes[0]


@pytest.mark.parametrize("ended", ["interrupted", "time", "killed", "end", "unconfined", "exit 2"])
def test_a_dry_run_without_a_training_says_why(ended: str) -> None:
    """Unknown is an answer, with its reason."""
    facts, notes = probed_facts(found(ended=ended))

    assert {} == facts
    assert 1 == len(notes)


@pytest.mark.parametrize(
    ("ended", "note"),
    [
        ("error train.py:7: ValueError: no data", "ended in the script's own code at train.py:7: ValueError: no data"),
        ("error train.py:2: EOFError: EOF when reading a line", "asks for input at train.py:2"),
        ("exit 1 at train.py:4", "the script itself ended at train.py:4 with exit status 1"),
        ("exit 0", "the script itself ended with exit status 0"),
    ],
)
def test_what_ended_a_dry_run_is_told_by_the_user_s_own_line(ended: str, note: str) -> None:
    """File, line and error of the script; programs that were not started come after it."""
    _facts, notes = probed_facts(found(ended=ended, notes=("programs that it would have started: x",)))

    assert note in notes[0]
    assert "programs" in notes[1]


def test_a_mistake_after_the_training_is_not_told() -> None:
    """What a script does with its trained network may fail in a dry run; what cuts the training short is told."""
    whole = {"optimizer": "adam", "epochs": 3, "train_samples": 10, "steps": 30}
    cut = {"optimizer": "adam", "train_samples": 10}
    ended = "error train.py:9: KeyError: 'x'"
    _facts, after = probed_facts(found(whole, ended=ended))
    _facts, within = probed_facts(found(cut, ended=ended))
    where = "the dry run ended in the script's own code at train.py:9: KeyError: 'x'"
    told = f"{where}: how long the training is stays unknown"

    assert ((), (told,)) == (after, within)


def test_keras_is_found_through_local_modules(tmp_path: Path) -> None:
    """A training script often keeps its model in a file beside it; a broken file is no reason to fail."""
    (tmp_path / "model.py").write_text("import keras\n", encoding="utf-8")
    (tmp_path / "broken.py").write_text("def\n", encoding="utf-8")
    script = tmp_path / "train.py"
    script.write_text("import broken\nfrom model import build\n", encoding="utf-8")

    imported = read_source(script, (), environment={}, folder=tmp_path).imported

    assert imported is not None
    assert "keras" in imported
    assert "torch" not in imported


def test_mistake_in_a_stated_fact_stops_before_anything_runs(tmp_path: Path) -> None:
    """The user's mistake is named at once."""
    script = ScriptToInspect(path=tmp_path / "x.py", arguments=(), interpreter=(sys.executable,))
    with pytest.raises(UsageError):
        inspect(script, options={"epochs": "x"}, directives={}, probe="on", environment={}, tell=pytest.fail)


@pytest.mark.parametrize(
    ("source", "batch", "devices"),
    [
        ("pl.Trainer(max_epochs=2).fit(Net(), loader)", 32, 4),
        ("pl.Trainer(max_epochs=2, devices=2).fit(Net(), loader)", 16, 2),
        ("pl.Trainer(max_epochs=2, accelerator='cpu').fit(Net(), loader)", 8, None),
        ("Trainer(Net(), TrainingArguments('o', per_device_train_batch_size=8)).train()", 32, 4),
    ],
)
def test_trainers_that_take_all_gpus_are_counted_with_all(
    tmp_path: Path, source: str, batch: int, devices: int | None
) -> None:
    """Lightning starts a process for each GPU of the node, Hugging Face's Trainer spreads one batch over them."""
    script = tmp_path / "train.py"
    head = (
        "import torch, pytorch_lightning as pl\nfrom transformers import Trainer, TrainingArguments\n"
        "class Net(pl.LightningModule): pass\nloader = torch.utils.data.DataLoader(torch.zeros(64, 2), batch_size=8)\n"
    )
    script.write_text(head + source, encoding="utf-8")
    asked = ScriptToInspect(path=script, arguments=(), interpreter=(sys.executable,), gpus=4)
    workload = inspect(asked, options={}, directives={}, probe="off", environment={}, tell=lambda _line: None)

    assert (batch, devices) == (workload.batch_size.value, workload.devices.value)
