"""What is read from source: right where it is stated, unknown where two ways lead to different values, never run."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from advisor.inspection.shell.state import HOLE
from advisor.inspection.source_code import SourceReading, read_source
from advisor.inspection.workload import Fact, Source

TORCH = """
import torch
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.randn({samples}, 3), torch.randn({samples}))
loader = DataLoader(data, batch_size={batch}, shuffle=True, num_workers=2)
model = torch.nn.Linear(3, 1)
optimizer = torch.optim.AdamW(model.parameters())
for epoch in range({epochs}):
    for x, y in loader:
        loss = model(x).mean()
        loss.backward()
        optimizer.step()
"""
KERAS = "import keras, numpy as np\nmodel = keras.Sequential([keras.layers.Dense(1)])\n"


def read(folder: Path, source: str, *arguments: str, **environment: str) -> SourceReading:
    """The reading of a script with this source."""
    script = folder / "train.py"
    script.write_text(source, encoding="utf-8")
    return read_source(script, arguments, environment=environment, folder=folder)


def values(reading: SourceReading, *names: str) -> tuple[object, ...]:
    """These facts' values, None where they are unknown."""
    return tuple(reading.facts.get(name, Fact()).value for name in names)


def test_a_plain_torch_loop_is_read(tmp_path: Path) -> None:
    """Constants, loops and the loader around ``backward`` say all but what the network is."""
    found = read(tmp_path, TORCH.format(samples=1000, batch=32, epochs=7))

    assert found.trains
    assert {
        "batch_size": Fact(32, Source.SOURCE_CODE), "train_samples": Fact(1000, Source.SOURCE_CODE),
        "loader_workers": Fact(2, Source.SOURCE_CODE), "data_loading": Fact("memory", Source.SOURCE_CODE),
        "epochs": Fact(7, Source.SOURCE_CODE), "optimizer": Fact("adamw", Source.SOURCE_CODE),
        "precision": Fact("float32", Source.DEFAULT), "gradient_accumulation": Fact(1, Source.SOURCE_CODE),
        "framework": Fact("pytorch", Source.SOURCE_CODE),
    } == found.facts  # fmt: skip


ARGPARSE = """
import argparse
p = argparse.ArgumentParser()
p.add_argument("--epochs", type=int, default=10)
p.add_argument("--batch-size", "-b", type=int, default=64)
p.add_argument("--data", required=True)
args = p.parse_args()
"""
TRAIN = """
import keras, numpy as np
def train(args):
    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("adam", "mse")
    model.fit(np.zeros((500, 3)), np.zeros(500), epochs=args.epochs, batch_size=args.batch_size)
"""


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (ARGPARSE + TRAIN + "train(args)\n", ["--data", "x", "--epochs", "3", "-b8"]),
        (ARGPARSE + TRAIN + "train(args)\n", ["--data=x", "--ep", "3", "--batch-size=8"]),
        ("import sys, types\n" + TRAIN +
         "train(types.SimpleNamespace(epochs=int(sys.argv[1]), batch_size=int(sys.argv[2])))\n", ["3", "8"]),
    ],
)  # fmt: skip
def test_arguments_are_read_as_the_script_would(tmp_path: Path, source: str, words: list[str]) -> None:
    """The common parsers' rules are the script's own; what they give is known to come from the arguments."""
    found = read(tmp_path, source, *words)

    assert (3, 8, 500) == values(found, "epochs", "batch_size", "train_samples")
    assert Source.ARGUMENTS is found.facts["epochs"].source


def test_defaults_stand_where_nothing_is_given_and_unknown_words_stay_unknown(tmp_path: Path) -> None:
    """A batch script's word that only a shell could expand does not hide the others."""
    source = ARGPARSE + TRAIN + "train(args)\n"

    assert (10, 64) == values(read(tmp_path, source, "--data", HOLE), "epochs", "batch_size")
    assert (None, 8) == values(
        read(tmp_path, source, "--data", "x", "--epochs", HOLE, "-b", "8"), "epochs", "batch_size"
    )
    assert (None, None) == values(read(tmp_path, source), "epochs", "batch_size")  # argparse would end the script


@pytest.mark.parametrize(
    ("name", "text", "load"),
    [
        ("c.json", '{"train": {"epochs": 3, "bs": 8}}', "import json\nc = json.load(open('c.json'))"),
        ("c.yaml", "train: {epochs: 3, bs: 8}", "import yaml\nwith open('c.yaml') as f:\n    c = yaml.safe_load(f)"),
        ("c.toml", "[train]\nepochs = 3\nbs = 8", "import tomllib\nc = tomllib.load(open('c.toml', 'rb'))"),
        ("c.json", '{"train": {"epochs": 3, "bs": 8}}',
         "import json, pathlib\nc = json.loads((pathlib.Path(__file__).parent / 'c.json').read_text())"),
    ],
)  # fmt: skip
def test_configuration_files_are_read_as_data(tmp_path: Path, name: str, text: str, load: str) -> None:
    """What a file states is known to come from it."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    fit = "model.fit(np.zeros((40, 3)), epochs=c['train']['epochs'], batch_size=c['train']['bs'])\n"
    found = read(tmp_path, f"{load}\n{KERAS}{fit}")

    assert (3, 8) == values(found, "epochs", "batch_size")
    assert Source.CONFIGURATION is found.facts["epochs"].source
    assert [name] == [file.name for file in found.files]


@pytest.mark.parametrize(
    "source",
    [
        "import hydra\n@hydra.main(config_path='conf', config_name='config')\ndef main(cfg):\n    train(cfg)\nmain()\n",
        (
            "import click\n@click.command()\n@click.option('--epochs', default=10)\n@click.option('--size')\n"
            "def main(epochs, size):\n    fit(epochs, size)\nmain()\n"
        ),
        "import fire\ndef main(epochs=10, size=64):\n    fit(epochs, size)\nfire.Fire(main)\n",
        "import typer\ndef main(epochs: int = 10, size: int = 64):\n    fit(epochs, size)\ntyper.run(main)\n",
        (
            "from absl import app, flags\nflags.DEFINE_integer('epochs', 10, '')\nF = flags.FLAGS\n"
            "app.run(lambda argv: fit(F.epochs, F.batch_size))\n"
        ),
    ],
)
def test_arguments_of_parsers_that_are_not_read_are_unknown(tmp_path: Path, source: str) -> None:
    """Their defaults are not taken for what the command line may have changed."""
    fit = "def fit(epochs, size):\n    import types\n    train(types.SimpleNamespace(epochs=epochs, batch_size=size))\n"
    found = read(tmp_path, TRAIN + fit + source, "--epochs", "3")

    assert (None, None) == values(found, "epochs", "batch_size")


@pytest.mark.parametrize(
    "changed",
    [
        ("for epoch in range(7):", "for epoch in range(how_many()):"),
        ("for epoch in range(7):", "import random\nn = 3 if random.random() < 0.5 else 7\nfor epoch in range(n):"),
        ("for epoch in range(7):", "while loss > 0.1:"),
        ("for epoch in range(7):", "for train, test in folds:\n  for epoch in range(7):"),
    ],
)
def test_what_cannot_be_told_is_unknown(tmp_path: Path, changed: tuple[str, str]) -> None:
    """A wrong value is worse than none."""
    source = TORCH.format(samples=1000, batch=32, epochs=7).replace(*changed)
    source = source.replace("\n    for x, y", "\n      for x, y").replace("\n        ", "\n          ")
    found = read(tmp_path, source)

    assert (None, 32) == values(found, "epochs", "batch_size")


def test_phases_add_up_and_accumulation_is_seen(tmp_path: Path) -> None:
    """Two calls of one function train twice; a test on the step's number says how many batches make a step."""
    source = TORCH.format(samples=64, batch=8, epochs="epochs").replace("for epoch", "def train(epochs):\n  for epoch")
    source = source.replace("\n    for x, y in loader", "\n    for i, (x, y) in enumerate(loader)").replace(
        "        optimizer.step()", "        if (i + 1) % 4 == 0:\n            optimizer.step()"
    )
    found = read(tmp_path, source + "train(2)\ntrain(epochs=3)\n")

    assert (5, 4, 8) == values(found, "epochs", "gradient_accumulation", "batch_size")
    assert "2 stretches" in found.notes[0]


@pytest.mark.parametrize(
    ("line", "precision"),
    [
        ("with torch.autocast('cuda', dtype=torch.bfloat16): pass", "mixed_bfloat16"),
        ("with torch.cuda.amp.autocast(): pass", "mixed_float16"),
        ("scaler = torch.amp.GradScaler()", "mixed_float16"),
        ("with torch.autocast('cuda', enabled=False): pass", "float32"),
        ("with torch.autocast('cuda', enabled=unknown()): pass", None),
        ("model.to(torch.bfloat16)", None),
    ],
)
def test_precision_is_read_from_casts(tmp_path: Path, line: str, precision: str | None) -> None:
    """Autocast and scalers say it; a cast of who knows what leaves it unknown."""
    source = TORCH.format(samples=64, batch=8, epochs=2) + line + "\n"

    assert (precision,) == values(read(tmp_path, source), "precision")


def test_trainers_of_libraries_are_read(tmp_path: Path) -> None:
    """Hugging Face's and Lightning's own words, with the defaults that they document."""
    huggingface = read(
        tmp_path,
        "from transformers import Trainer, TrainingArguments\nargs = TrainingArguments('out', "
        "per_device_train_batch_size=16, gradient_accumulation_steps=2, bf16=True)\nTrainer(model, args).train()\n",
    )
    lightning = read(
        tmp_path,
        "import lightning as L, torch\nclass M(L.LightningModule):\n  def configure_optimizers(self):\n"
        "    return torch.optim.SGD(self.parameters(), 0.1)\n"
        "  def train_dataloader(self):\n    return torch.utils.data.DataLoader(x, batch_size=12, num_workers=3)\n"
        "t = L.Trainer(max_epochs=5, precision='16-mixed', accumulate_grad_batches=4, devices=2, strategy='ddp')\n"
        "t.fit(M())\n",
    )

    assert (3, 16, 2, "mixed_bfloat16", "adamw") == values(
        huggingface, "epochs", "batch_size", "gradient_accumulation", "precision", "optimizer"
    )
    assert Source.DEFAULT is huggingface.facts["epochs"].source
    assert (5, 24, 4, "mixed_float16", "sgd", 2, "ddp", 3) == values(
        lightning, "epochs", "batch_size", "gradient_accumulation", "precision", "optimizer", "devices", "strategy",
        "loader_workers",
    )  # fmt: skip


def test_arguments_of_a_library_s_class_are_read_from_the_command_line(tmp_path: Path) -> None:
    """Hugging Face's parser fills its own classes; a dataclass of the script's own beside them is not known."""
    source = (
        "from dataclasses import dataclass\nfrom transformers import HfArgumentParser, Trainer, TrainingArguments\n"
        "@dataclass\nclass Data:\n    samples: int = 100\n"
        "data, args = HfArgumentParser((Data, TrainingArguments)).parse_args_into_dataclasses()\n"
        "Trainer(None, args, None, torch.utils.data.TensorDataset(torch.zeros(data.samples))).train()\n"
    )
    found = read(tmp_path, source, "--num_train_epochs", "5", "--per_device_train_batch_size=16", "--bf16")

    assert (5, 16, "mixed_bfloat16", None) == values(found, "epochs", "batch_size", "precision", "train_samples")
    assert Source.ARGUMENTS is found.facts["epochs"].source


def test_modules_of_the_script_s_own_are_followed(tmp_path: Path) -> None:
    """A configuration module, a package with relative imports."""
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "__init__.py").write_text("", encoding="utf-8")
    (tmp_path / "project" / "settings.py").write_text("from .base import *\nBATCH = BASE * 4\n", encoding="utf-8")
    (tmp_path / "project" / "base.py").write_text("BASE = 8\n", encoding="utf-8")
    source = KERAS + "from project import settings as s\nmodel.fit(np.zeros((40, 3)), batch_size=s.BATCH, epochs=2)\n"

    assert (32, 2) == values(read(tmp_path, source), "batch_size", "epochs")


def test_what_trains_nothing_has_no_facts(tmp_path: Path) -> None:
    """A script that only imports a framework is no training."""
    found = read(tmp_path, "import torch\nfrom sklearn.svm import SVC\nSVC().fit([[1]], [1])\nprint(torch.ones(3))\n")

    assert (False, {}) == (found.trains, found.facts)


@pytest.mark.parametrize(
    "source",
    [
        "import os\nos.system('touch {0}')\nopen('{0}', 'w').write('x')\n",
        "x = 10 ** 10 ** 10\ny = 'a' * 10 ** 12\nz = [0] * 10 ** 12\nwhile True:\n    x += 1\n",
        "def f(n):\n    return f(n) + f(n)\nf(1)\n",
        "x = " + "(" * 90 + ")" * 90 + "\n",
        "for a in range(10**9):\n"
        + "".join(f"{' ' * n}for b in range(9**9):\n" for n in range(1, 19))
        + " " * 19
        + "pass\n",
        "x = [" + "1," * 30_000 + "]\n",
        "x = " + "+".join("1" for _ in range(3000)) + "\n",
        "def broken(:\n",
    ],
)
def test_hostile_source_is_neither_run_nor_slow(tmp_path: Path, source: str) -> None:
    """Reading is bounded and executes nothing, whatever the script says."""
    mark = tmp_path / "mark"
    begun = time.process_time()
    found = read(tmp_path, source.replace("{0}", str(mark)))

    assert {} == found.facts
    assert not mark.exists()
    assert time.process_time() - begun < 5.0
