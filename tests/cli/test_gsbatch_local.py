"""--local: the written script runs here, is recorded, ingested and reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.corpus import rows, store
from advisor.inspection.confine import way_here
from advisor.inspection.workload import Source
from tests.capabilities import frameworks_python
from tests.cli.gsbatch_calls import FACTS, Gsbatch, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch

TRAIN = """\
import os, sys, time
print("training", sys.argv[1:], os.environ.get("SLURM_NTASKS", "no job"))
time.sleep(0.2)
sys.exit(4)
"""
# Goes on until its trace says that it was inspected.
TORCH_TRAIN = """\
import pathlib, time
import torch
from torch.utils.data import DataLoader, TensorDataset

network = torch.nn.Linear(8, 3)
optimizer = torch.optim.SGD(network.parameters(), lr=0.1)
loader = DataLoader(TensorDataset(torch.randn(96, 8), torch.randint(0, 3, (96,))), batch_size=32)
spool = pathlib.Path("../data/gsbatch/spool")
for epoch in range(300):
    for samples, labels in loader:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(network(samples), labels).backward()
        optimizer.step()
    if any('"workload"' in file.read_text() for file in spool.glob("*.trace.jsonl")):
        break
    time.sleep(0.2)
"""
READINGS = Path(__file__).parents[1] / "data" / "gpu_readings" / "one_gpu_steady.jsonl"


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch on a machine where sacct knows nothing."""
    install_fake_sbatch(tmp_path / "bin")
    sacct = tmp_path / "bin" / "sacct"
    sacct.write_text("#!/bin/sh\nexit 0\n", encoding="utf-8")
    sacct.chmod(0o755)
    return make_gsbatch(tmp_path)


def _runs(gsbatch: Gsbatch) -> list[tuple[str, str, bool]]:
    with store.reading(gsbatch.spool.parent / "corpus.db") as db:
        return [(run.job_id, run.state, run.local) for run in rows.runs(db)]


def test_the_training_runs_here_and_is_remembered(gsbatch: Gsbatch) -> None:
    """Its output, its status, a report, a run in the corpus; sbatch is not called."""
    (gsbatch.folder / "train.py").write_text(TRAIN, encoding="utf-8")

    done = gsbatch("--local", *FACTS, "train.py", "a b", SLURM_NTASKS="8")

    assert 4 == done.returncode, done.stderr
    assert "training ['a b'] no job\n" in done.stdout
    assert "FAILED on this machine" in done.stdout
    assert [("FAILED", True)] == [run[1:] for run in _runs(gsbatch)]
    assert [] == gsbatch.sbatch.calls()


def test_a_batch_script_runs_here_with_its_arguments(gsbatch: Gsbatch) -> None:
    """$@ and the status are the script's own, under the recorder too."""
    (gsbatch.folder / "job.sh").write_text('#!/bin/bash\necho "got $2"\nexit 9\n', encoding="utf-8")

    done = gsbatch("--local", *FACTS, "job.sh", "x", "y z")

    assert 9 == done.returncode, done.stderr
    assert done.stdout.startswith("got y z\n")
    assert 1 == len(_runs(gsbatch))


def test_without_record_nothing_is_kept(gsbatch: Gsbatch) -> None:
    """The script runs, and that is all."""
    done = gsbatch("--local", "--no-record", *FACTS, "train.py")

    assert (0, "[]\n") == (done.returncode, done.stdout)
    assert not gsbatch.spool.exists()


def test_a_corpus_that_cannot_be_written_costs_the_corpus_only(gsbatch: Gsbatch) -> None:
    """The training's status stands, and the report comes from the spool folder."""
    (gsbatch.folder / "train.py").write_text(TRAIN, encoding="utf-8")

    done = gsbatch("--local", *FACTS, "train.py", GSBATCH_CORPUS="/proc/1/nowhere/corpus.db")

    assert 4 == done.returncode
    assert "gsbatch: not ingested: " in done.stderr
    assert "FAILED on this machine" in done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(not way_here(), reason="this machine cannot confine a dry run")
def test_what_the_job_found_corrects_its_prediction(gsbatch: Gsbatch) -> None:
    """Nothing is dry-run before; the job's own dry run fills in what was unknown, and what the user said stands."""
    python = frameworks_python("torch")
    if python is None:
        pytest.skip("no interpreter with PyTorch: tests/frameworks.sh makes it")
    (gsbatch.folder / "torch_train.py").write_text(TORCH_TRAIN, encoding="utf-8")
    words = ("--probe=job", "--set", "epochs=77", "--set", "framework=torch", "torch_train.py")

    done = gsbatch("--local", *words, GSBATCH_PYTHON=python, GSBATCH_GPU_READINGS=str(READINGS))

    assert 0 == done.returncode, done.stderr
    assert "dry-running" not in done.stderr
    assert "predicted with what a dry run beside the training found" in done.stdout
    with store.reading(gsbatch.spool.parent / "corpus.db") as db:
        (run,) = rows.runs(db)
    assert (27, Source.PROBE) == (run.workload.parameters.value, run.workload.parameters.source)
    assert (77, Source.OPTION) == (run.workload.epochs.value, run.workload.epochs.source)
    assert run.found_in_job is not None
