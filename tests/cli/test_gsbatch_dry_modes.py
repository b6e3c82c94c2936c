"""--advise, --json, --print-script and --help: advice without a submission."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from advisor.cli.gsbatch_help import HELP
from advisor.request.command_line import OWN_FLAGS, OWN_WITH_CHOICE, OWN_WITH_VALUE
from tests.cli.gsbatch_calls import FACTS, Gsbatch, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch

PLACEMENT_FIELDS = {
    "partition", "gpu_model", "gpus", "nodes", "memory_bytes", "cpus", "rank", "energy_j", "mean_power_w",
    "epoch_energy_j", "epoch_duration_s", "duration_s", "gpu_memory_bytes", "host_memory_bytes", "gpu_utilisation",
    "match", "carbon_g", "cost", "expected_start", "method", "confidence", "reason", "energy_over_first_choice",
    "probability_least", "expected_regret", "tied_with_first_choice",
}  # fmt: skip
WORKLOAD_FIELDS = {
    "framework", "model_name", "parameters", "trainable_parameters", "forward_flops_per_sample", "input_shape",
    "batch_size", "train_samples", "validation_samples", "epochs", "optimizer", "precision",
}  # fmt: skip


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch whose sbatch must not be called."""
    install_fake_sbatch(tmp_path / "bin")
    return make_gsbatch(tmp_path)


def test_json_has_every_field_of_the_contract(gsbatch: Gsbatch) -> None:
    """Field names are fixed; values are SI, estimates have three parts in order, stderr is silent."""
    done = gsbatch("--json", *FACTS, "train.py")
    advice = json.loads(done.stdout)

    assert (0, "") == (done.returncode, done.stderr)
    assert {"workload", "placements", "rejected", "recommended", "model"} <= set(advice)
    assert set(advice["workload"]) >= WORKLOAD_FIELDS
    assert {"value": 2, "source": "option"} == advice["workload"]["epochs"]
    assert {"value": None, "source": "unknown"} == advice["workload"]["optimizer"]
    for position, placement in enumerate(advice["placements"], 1):
        assert set(placement) >= PLACEMENT_FIELDS
        assert position == placement["rank"]
        assert placement["energy_j"]["low"] <= placement["energy_j"]["value"] <= placement["energy_j"]["high"]
        assert placement["match"] in {"under-used", "matched", "strained"}
        assert placement["energy_over_first_choice"]["low"] <= placement["energy_over_first_choice"]["value"]
        assert 0.0 <= placement["probability_least"] <= 1.0
    assert advice["placements"][0] == advice["recommended"]
    assert {"value": 1.0, "low": 1.0, "high": 1.0} == advice["recommended"]["energy_over_first_choice"]
    of_each = {(item["partition"], item["gpu_model"], item["gpus"]): item for item in advice["placements"]}
    assert pytest.approx(1.0) == sum(item["probability_least"] for item in of_each.values())
    assert {"partition": "cpu", "gpu_model": None, "reason": "it has no GPU"} in advice["rejected"]
    assert {"name", "version", "trained_on_runs", "promoted_at"} == set(advice["model"])
    assert [] == gsbatch.sbatch.calls()


def test_json_ranks_every_ram_allocation(gsbatch: Gsbatch) -> None:
    """The table shows one line for each GPU; the JSON has them all."""
    advice = json.loads(gsbatch("--json", *FACTS, "train.py").stdout)

    kinds = [(item["partition"], item["memory_bytes"]) for item in advice["placements"]]
    assert len(kinds) == len(set(kinds))
    assert len([kind for kind in kinds if kind[0] == "ampere"]) > 1


METHODS = {
    *(f"offline, {what} ({name})" for what in ("power", "epoch energy")
      for name in ("Linear", "Ridge", "Kernel Ridge", "SVM")),
    "Green Algorithms", "MLCO2", "TDP", "TDP x utilisation",
}  # fmt: skip


def test_json_says_what_every_other_method_says(gsbatch: Gsbatch) -> None:
    """The paper's two offline estimators with its four regressors, and the public calculators, for each placement."""
    advice = json.loads(gsbatch("--json", *FACTS, "train.py").stdout)

    for placement in advice["placements"]:
        said = {item["method"]: item for item in placement["methods"]}
        assert set(said) == METHODS
        limit_j = placement["gpus"] * {"ampere": 250.0, "gtx": 250.0}[placement["partition"]]
        limit_j *= placement["duration_s"]["value"]
        assert pytest.approx(limit_j) == said["MLCO2"]["energy_j"]
        assert pytest.approx(2 * said["TDP"]["epoch_energy_j"]) == said["TDP"]["energy_j"]
        assert said["Green Algorithms"]["energy_j"] > said["TDP x utilisation"]["energy_j"]
        assert said["offline, epoch energy (SVM)"]["mean_power_w"] is None


def test_methods_are_shown_beside_the_advice(gsbatch: Gsbatch) -> None:
    """One line a method, ours first; without --methods none."""
    with_them = gsbatch("--advise", "--methods", *FACTS, "train.py").stderr
    without = gsbatch("--advise", *FACTS, "train.py").stderr

    lines = with_them[with_them.index("what other methods say") :].splitlines()
    assert len(METHODS) + 3 == len(lines)
    assert "1 ampere, NVIDIA A100" in lines[1]
    assert lines[2].startswith("  ours ")
    assert "MLCO2" not in without


@pytest.mark.parametrize("mode", ["--json", "--advise", "--print-script"])
def test_a_gpus_full_name_in_a_described_cluster_is_advised(gsbatch: Gsbatch, mode: str) -> None:
    """Slurm spells such a type without spaces, and so does the header."""
    cluster = gsbatch.folder / "full.toml"
    cluster.write_text(
        '[[partitions]]\nname = "volta"\n[[partitions.nodes]]\ncpus = 16\nmemory = "128G"\n'
        'gres = "gpu:Tesla V100-PCIE-32GB:2"\n'
    )

    done = gsbatch(mode, "--inventory", str(cluster), *FACTS, "train.py")

    assert 0 == done.returncode, done.stderr
    said = done.stdout + done.stderr
    assert "Tesla V100-PCIE-32GB" in said or mode == "--print-script"
    assert "tesla_v100-pcie-32gb" in said


def test_json_without_a_fit_says_why(gsbatch: Gsbatch) -> None:
    """`recommended` is null and the reason is there; that is an answer, not an error."""
    done = gsbatch("--json", "--time=00:00:01", *FACTS, "train.py")
    advice = json.loads(done.stdout)

    assert 0 == done.returncode
    assert advice["recommended"] is None
    assert "in time" in advice["no_advice_reason"]


def test_advise_prints_everything_on_stderr_and_submits_nothing(gsbatch: Gsbatch) -> None:
    """Stdout stays empty; every rejection is listed."""
    done = gsbatch("--advise", *FACTS, "train.py")

    assert ("", 0) == (done.stdout, done.returncode)
    assert "ampere" in done.stderr
    assert "gtx" in done.stderr
    assert "not offered: cpu: it has no GPU" in done.stderr
    assert [] == gsbatch.sbatch.calls()


def test_print_script_prints_what_would_be_submitted(gsbatch: Gsbatch) -> None:
    """It is the whole script: saved to a file, bash accepts it and sbatch would too."""
    done = gsbatch("--print-script", *FACTS, "train.py", "a b")

    shell = done.stdout.partition("\n#gsbatch-loader\n")[0]  # exec has left the shell before it reads on
    checked = subprocess.run(["bash", "-n"], input=shell, text=True, capture_output=True, check=False)
    assert 0 == done.returncode
    assert done.stdout.startswith("#!/bin/bash\n#SBATCH --partition=ampere\n")
    assert "train.py 'a b'\n" in done.stdout
    assert (0, "") == (checked.returncode, checked.stderr)
    assert [] == gsbatch.sbatch.calls()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("--advise", "none.py"), 2, "does not exist"),
        (("--advise", "--inventory", "/no/cluster.toml", *FACTS, "train.py"), 2, "cannot be read"),
        (("--advise", "--no-probe", "train.py"), 5, "nothing is known of what train.py trains"),
        (("--advise", "-n1", ":", "-n1", "train.py"), 2, "heterogeneous"),
        (("--print-script", "notes.txt"), 2, "no #! line"),
        (("--advise", "--wrap", "true", "train.py"), 2, "exclude each other"),
    ],
)
def test_what_cannot_be_advised_is_an_error_with_its_own_status(
    gsbatch: Gsbatch, words: tuple[str, ...], status: int, said: str
) -> None:
    """Here nothing fails open, because nothing is submitted."""
    (gsbatch.folder / "notes.txt").write_text("just notes\n", encoding="utf-8")

    done = gsbatch(*words)

    assert (status, "") == (done.returncode, done.stdout)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("line", "said"),
    [("python train.py", "it imports no framework"), ("python $SCRIPT", "the batch script starts python ...: $SCRIPT")],
)
def test_the_training_inside_a_batch_script_is_looked_at(gsbatch: Gsbatch, line: str, said: str) -> None:
    """Where the line that starts it is plain; else the reader is told to state its facts."""
    (gsbatch.folder / "job.sh").write_text(f"#!/bin/bash\n{line}\n", encoding="utf-8")

    done = gsbatch("--advise", "job.sh")

    assert 5 == done.returncode
    assert said in done.stderr


def test_a_cluster_without_gpus_is_status_4(gsbatch: Gsbatch) -> None:
    """The message says what is missing and what to try."""
    (gsbatch.folder / "cpu.toml").write_text(
        'name = "c"\n[[partitions]]\nname = "p"\n[[partitions.nodes]]\ncount = 1\ncpus = 4\nmemory = "8G"\n',
        encoding="utf-8",
    )

    done = gsbatch("--advise", "--inventory", "cpu.toml", *FACTS, "train.py")

    assert 4 == done.returncode
    assert "no partition with GPUs" in done.stderr


def test_a_mistake_in_a_described_cluster_names_file_line_and_field(gsbatch: Gsbatch) -> None:
    """Whoever wrote it finds it."""
    (gsbatch.folder / "bad.toml").write_text(
        'name = "c"\n[[partitions]]\nname = "p"\n[[partitions.nodes]]\ncount = 1\ncpus = "many"\nmemory = "8G"\n',
        encoding="utf-8",
    )

    done = gsbatch("--advise", "--inventory", "bad.toml", *FACTS, "train.py")

    assert 2 == done.returncode
    assert "bad.toml, line 6" in done.stderr
    assert "cpus" in done.stderr


def test_help_names_every_option_of_ours(gsbatch: Gsbatch) -> None:
    """An option that help does not show is not there for most people."""
    done = gsbatch("--help")

    assert (HELP, "", 0) == (done.stdout, done.stderr, done.returncode)
    assert [] == [name for name in OWN_FLAGS | OWN_WITH_VALUE | OWN_WITH_CHOICE if f"--{name}" not in done.stdout]
