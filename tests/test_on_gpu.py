"""The script for a machine with a card, proved on simulated readings."""

from __future__ import annotations

import csv
import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TORCH_PYTHON = ROOT / ".venv-frameworks" / "bin" / "python"


@pytest.mark.skipif(not TORCH_PYTHON.is_file(), reason="needs PyTorch in .venv-frameworks (tests/frameworks.sh)")
def test_a_replayed_card_is_measured_whole(tmp_path: Path) -> None:
    """Idle power, the hook's cost and a recorded training with its prediction come from one call."""
    readings = ROOT / "tests" / "data" / "gpu_readings" / "two_gpus_ramp.jsonl"
    done = subprocess.run(
        ["bash", str(ROOT / "tests" / "bench" / "on_gpu.sh"), str(tmp_path), "--replay", str(readings), "--most", "1",
         "--hook-rounds", "1"],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "TORCH_PYTHON": str(TORCH_PYTHON), "OMP_NUM_THREADS": "1"},
    )  # fmt: skip

    assert 0 == done.returncode, done.stderr
    conditions = json.loads((tmp_path / "conditions.json").read_text())
    assert ("replay", 100.0, 100.0) == (conditions["sensor"], *conditions["idle"].values())
    (row,) = csv.DictReader((tmp_path / "runs.csv").read_text().splitlines())
    assert ("residual", "3", "NVIDIA A100-SXM4-80GB") == (row["network"], row["epochs_marked"], row["gpu"])
    assert all(float(row[name]) > 0 for name in ("mean_power_w", "integral_j", "predicted_power_w"))
    assert "the hook costs" in done.stdout


def test_without_a_card_it_says_what_to_do(tmp_path: Path) -> None:
    """No half-measured files, and the way to prove the program without a card."""
    done = subprocess.run(
        ["bash", str(ROOT / "tests" / "bench" / "on_gpu.sh"), str(tmp_path / "out")],
        capture_output=True, text=True, check=False, env={**os.environ, "TORCH_PYTHON": "/bin/true"},
    )  # fmt: skip

    assert 0 != done.returncode
    assert "--replay" in done.stderr
    assert not list(tmp_path.glob("out/*"))
