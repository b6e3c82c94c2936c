"""Where a source can be read in more than one way, its facts are unknown: a wrong value is worse than none."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.inspection.test_source_code import read, values

HEAD = """
import os, sys, torch
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.randn(1000, 3))
opt = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
class Config:
    epochs, batch = 3, 10
    def __init__(self, **words):
        self.__dict__.update(words)
def train(epochs, batch, data=data, most=None):
    for epoch in range(epochs):
        for number, (x,) in enumerate(DataLoader(data, batch_size=batch)):
            if most is not None and number >= most:
                break
            x.mean().backward()
            opt.step()
"""


@pytest.mark.parametrize(
    ("rest", "epochs", "batch"),
    [
        ("config = Config(epochs=12)\ntrain(config.epochs, config.batch)", None, None),
        (
            "config = Config()\nfor k, v in [('batch', 40)]:\n setattr(config, k, v)\ntrain(2, config.batch)",
            2,
            None,
        ),
        ("config = Config()\nfor word in sys.stdin:\n setattr(config, word, 1)\ntrain(2, config.batch)", 2, None),
        ("x = []\nif os.path.exists('big'):\n x.append(64)\nelse:\n x.append(8)\ntrain(2, x[0])", 2, None),
        ("config = {'batch': 8}\nconfig.update(torch.load('x'))\ntrain(2, config['batch'])", 2, None),
        ("match torch.cuda.device_count():\n case 1:\n  x = 16\n case _:\n  x = 32\ntrain(2, x)", 2, None),
        ("batch = 8\nexec(sys.stdin.read())\ntrain(2, batch)", 2, None),
        ("batch = 8\nexec(open('settings.py').read())\ntrain(2, batch)", 2, None),
        ("globals()['batch'] = 8\ntrain(2, batch)", 2, None),
        ("config = {'batch': 8}\nconfig.update(batch=9)\ntrain(2, config['batch'])", 2, None),
        ("train(1, 10, most=5)\ntrain(6, 10)", None, 10),
        ("train(4, 10, TensorDataset(torch.randn(50, 3)))\ntrain(6, 10)", None, 10),
        ("for fold in range(100):\n train(1, 10)\n if opt.state:\n  break", None, 10),
        ("def f():\n for trial in range(9):\n  train(1, 10)\n  if opt.state:\n   return trial\nf()", None, 10),
        ("for fold in range(9):\n train(1, 10)\n break", None, 10),
    ],
)
def test_what_may_be_otherwise_is_unknown(rest: str, epochs: int | None, batch: int | None, tmp_path: Path) -> None:
    """Settings changed by name, in place, under conditions or by text; loops that may be left before their end."""
    (tmp_path / "settings.py").write_text("batch = 24\n", encoding="utf-8")

    assert (epochs, batch) == values(read(tmp_path, HEAD + rest), "epochs", "batch_size")


def test_files_met_in_a_loop_are_not_counted_as_one(tmp_path: Path) -> None:
    """A list that a loop fills is as long as the loop, which is walked once."""
    source = HEAD + (
        "class Files:\n def __init__(self):\n  self.names = []\n  for name in os.listdir('.'):\n"
        "   self.names.append(name)\n def __len__(self):\n  return len(self.names)\ntrain(2, 10, Files())\n"
    )

    assert (None, 2) == values(read(tmp_path, source), "train_samples", "epochs")


def test_steps_in_a_comprehension_are_those_of_its_loader(tmp_path: Path) -> None:
    """``[step(x) for x in loader]`` is a loop like any other."""
    source = HEAD + (
        "def step(x):\n x.mean().backward()\n opt.step()\n"
        "for epoch in range(4):\n losses = [step(x) for (x,) in DataLoader(data, batch_size=20)]\n"
    )

    assert (None, 4, 20) == values(read(tmp_path, source), "steps", "epochs", "batch_size")


KERAS = "import keras, numpy as np\nx = np.zeros((500, 4))\n"
OWN = """
class Pair(keras.Model):
    def compile(self, first, second):
        super().compile()
pair = Pair()
pair.compile({first}, {second})
pair.fit(x, epochs=2)
"""


def test_the_optimizers_of_a_custom_compile_are_not_the_frameworks_default(tmp_path: Path) -> None:
    """A class that keeps two optimizers of one kind trains with that; with two kinds, there is no one name."""
    adam, sgd = "keras.optimizers.Adam()", "keras.optimizers.SGD()"
    alike, different = (read(tmp_path, KERAS + OWN.format(first=adam, second=second)) for second in (adam, sgd))

    assert (("adam",), (None,)) == (values(alike, "optimizer"), values(different, "optimizer"))


def test_epochs_of_different_networks_are_not_added(tmp_path: Path) -> None:
    """Two fits of two networks on other data are two trainings; of one network they are one."""
    two = read(tmp_path, KERAS + "keras.Sequential().fit(x, epochs=7)\nkeras.Sequential().fit(x[:9], epochs=2)\n")
    one = read(tmp_path, KERAS + "m = keras.Sequential()\nm.fit(x, epochs=7)\nm.fit(x[:9], epochs=2)\n")

    assert ((None,), (9,)) == (values(two, "epochs"), values(one, "epochs"))


def test_arguments_that_a_method_may_have_changed_are_unknown(tmp_path: Path) -> None:
    """The words that TrainingArguments was made with no longer hold after a method that is not known here."""
    source = (
        "from transformers import Trainer, TrainingArguments\n"
        "args = TrainingArguments('out', num_train_epochs=3).set_training(num_epochs=5)\nTrainer(None, args).train()\n"
    )

    assert (None, None) == values(read(tmp_path, source), "epochs", "batch_size")


@pytest.mark.parametrize(
    ("words", "samples", "batch"),
    [
        ("batch_size=10, sampler=DistributedSampler(data)", 1000, 10),
        ("batch_size=10, sampler=RandomSampler(data)", 1000, 10),
        ("batch_size=10, sampler=RandomSampler(data, num_samples=10**10)", None, 10),
        ("batch_size=10, sampler=RandomSampler(data, True, 50)", None, 10),
        ("batch_size=10, sampler=anything", None, 10),
        ("batch_sampler=anything", None, None),
    ],
)
def test_a_sampler_draws_as_many_as_it_likes(
    words: str, samples: int | None, batch: int | None, tmp_path: Path
) -> None:
    """A loader with a sampler need not read all that the data set has; one of batches has its own batch size."""
    imports = (
        "from torch.utils.data import RandomSampler\nfrom torch.utils.data.distributed import DistributedSampler\n"
    )
    source = (
        HEAD + imports + f"for epoch in range(3):\n for (x,) in DataLoader(data, {words}):\n  x.mean().backward()\n"
    )

    assert (samples, batch, 3) == values(read(tmp_path, source), "train_samples", "batch_size", "epochs")


@pytest.mark.parametrize("after", [".repeat(3)", ".take(5)", ".skip(1)"])
def test_batches_cut_or_repeated_are_not_the_whole_data(after: str, tmp_path: Path) -> None:
    """What comes after ``batch`` changes how much one epoch reads."""
    data = "import tensorflow as tf\ndata = tf.data.Dataset.from_tensor_slices(np.zeros(100)).batch(10)"
    whole, changed = (read(tmp_path, f"{KERAS}{data}{end}\nkeras.Model().fit(data)\n") for end in ("", after))

    assert ((10, 100), (10, None)) == tuple(values(item, "batch_size", "train_samples") for item in (whole, changed))


TIMM = """
import argparse, torch
from contextlib import suppress
from functools import partial
first = argparse.ArgumentParser(add_help=False)
first.add_argument("-c", "--config", default="")
parser = argparse.ArgumentParser()
parser.add_argument("--amp", action="store_true")
parser.add_argument("--epochs", type=int, default=300)
def parsed():
    given, rest = first.parse_known_args()
    if given.config:
        parser.set_defaults(**read(given.config))
    return parser.parse_args(rest)
args = parsed()
around = partial(torch.autocast, device_type="cuda", dtype=torch.float16) if args.amp else suppress
for epoch in range(args.epochs):
    for x in torch.utils.data.DataLoader(torch.load("x"), batch_size=8):
        with around():
            loss = x.mean()
        loss.backward()
"""


@pytest.mark.parametrize(
    ("words", "epochs", "precision"),
    [
        (("--amp", "--epochs", "5"), 5, "mixed_float16"),
        (("--epochs", "5"), 5, "float32"),
        ((), 300, "float32"),
        (("-c", "x.yaml", "--epochs", "5"), 5, None),
    ],
)
def test_two_parsers_share_the_arguments(tmp_path: Path, words: tuple[str, ...], epochs: int, precision: str) -> None:
    """What the first leaves over is the second's; where a file may change the defaults, these are not known."""
    found = read(tmp_path, TIMM, *words)

    assert epochs == found.facts["epochs"].value
    assert precision in {None, *values(found, "precision")}


def test_another_library_s_fit_is_not_keras_s(tmp_path: Path) -> None:
    """Keras's defaults (one epoch, no validation) are those of a script that imports Keras."""
    cli = "from lightning.pytorch.cli import LightningCLI\nimport mine\ncli = LightningCLI(mine.Net, run=False)\n"
    lightning = read(tmp_path, cli + "cli.trainer.fit(cli.model)\n", "fit", "--trainer.max_epochs=3")
    own = read(tmp_path, "import torch, mine\nmine.Layer().fit(torch.zeros(9, 2))\n")

    assert (3, None, "pytorch") == values(lightning, "epochs", "validation_samples", "framework")
    assert (None, None) == values(own, "epochs", "validation_samples")


def test_a_network_that_is_not_trained_is_not_the_table_s(tmp_path: Path) -> None:
    """A frozen network judges another's output; one with other layers has other figures than the published."""
    loop = "for e in range(2):\n for x in torch.utils.data.DataLoader(torch.load('x')):\n  net(x).mean().backward()\n"
    head = "import torch, torchvision\nclass Small(torch.nn.Module): pass\nvgg = torchvision.models.vgg16()\n"
    judged = read(tmp_path, head + "net = Small()\ntorch.optim.Adam(net.parameters())\n" + loop)
    itself = read(tmp_path, head + "net = vgg.cuda()\ntorch.optim.Adam(net.parameters())\n" + loop)
    changed = "net = vgg\nnet.features = torch.nn.Identity()\ntorch.optim.Adam(net.parameters())\n"
    other = read(tmp_path, head + changed + loop)

    assert {} == judged.table
    assert 138_357_544 == itself.table["parameters"].value
    assert ["model_name"] == list(other.table)
