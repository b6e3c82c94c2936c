"""--explain-workload: every fact with its source, for a person and for a program; nothing is submitted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.gsbatch_calls import Gsbatch, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch

TRAINING = """
import argparse, torch
p = argparse.ArgumentParser()
p.add_argument("--epochs", type=int, default=3)
args = p.parse_args()
network = torch.nn.Linear(4, 2)
loader = torch.utils.data.DataLoader(torch.zeros(960, 4), batch_size=32)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
for epoch in range(args.epochs):
    for samples in loader:
        optimizer.zero_grad()
        network(samples).sum().backward()
        optimizer.step()
"""


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch with a script that trains, started by a batch script."""
    install_fake_sbatch(tmp_path / "bin")
    made = make_gsbatch(tmp_path)
    (made.folder / "train.py").write_text(TRAINING, encoding="utf-8")
    (made.folder / "job.sh").write_text(
        "#!/bin/bash\n#SBATCH -N 1\nE=$1\ntorchrun --nproc_per_node=2 train.py --epochs $E\n", encoding="utf-8"
    )
    return made


def test_a_batch_script_is_explained_as_json(gsbatch: Gsbatch) -> None:
    """Launcher, arguments and source say what a dry run is not needed for; the batch is that of both processes."""
    done = gsbatch("--explain-workload", "--json", "--no-probe", "--set", "optimizer=sgd", "job.sh", "7")
    explained = json.loads(done.stdout)
    workload = explained["workload"]

    assert (0, []) == (done.returncode, gsbatch.sbatch.calls())
    assert {"value": 7, "source": "source_code", "evidence": "arguments"} == workload["epochs"]
    assert {"value": 64, "source": "source_code"} == workload["batch_size"]
    assert {"value": 2, "source": "source_code", "evidence": "launcher"} == workload["devices"]
    assert {"value": "sgd", "source": "option"} == workload["optimizer"]
    assert {"value": None, "source": "unknown"} == workload["parameters"]


def test_a_person_reads_what_would_make_it_better_known(gsbatch: Gsbatch) -> None:
    """Each fact has a line; one that is unknown says how to state it."""
    done = gsbatch("--explain-workload", "--no-probe", "train.py")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}

    assert (0, "", []) == (done.returncode, done.stderr, gsbatch.sbatch.calls())
    assert "--set parameters=VALUE" in lines["parameters"]
    assert ["epochs", "3", "arguments"] == lines["epochs"].split()[:3]


@pytest.mark.parametrize("other", ["--local", "--print-script", "--advise"])
def test_it_goes_with_no_other_mode_but_json(gsbatch: Gsbatch, other: str) -> None:
    """One thing is done at a time."""
    done = gsbatch("--explain-workload", other, "train.py")

    assert 2 == done.returncode
    assert "at a time" in done.stderr
