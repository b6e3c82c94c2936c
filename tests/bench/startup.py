"""Start-up of the commands, side by side with plain sbatch, in one run: medians of wall seconds.

    python -m tests.bench.startup [--runs 10] [--slurm-conf FILE]

Needs the installed commands on PATH; ``sbatch --test-only`` is timed where a Slurm answers (SLURM_CONF, or a test
cluster: ``python -m tests.real_slurm.cluster run --dir DIR -- python -m tests.bench.startup``).
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FACTS = ("batch_size=32", "epochs=50", "train_samples=50000", "validation_samples=10000", "parameters=25600000",
         "trainable_parameters=25600000", "forward_flops_per_sample=8.2e9", "input_shape=224,224,3",
         "framework=tensorflow", "precision=float32", "optimizer=adam", "model_name=resnet50")  # fmt: skip


def commands(bin_folder: Path, script: Path) -> dict[str, list[str]]:
    """What is compared; every run of each does the same work."""
    facts = [word for fact in FACTS for word in ("--set", fact)]
    gsbatch = str(bin_folder / "gsbatch")
    described = ["--inventory", str(ROOT / "docs" / "examples" / "datacentre.toml")]
    compared = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "gsbatch --help": [gsbatch, "--help"],
        "gsbatch --advise, facts given, described cluster": [
            gsbatch, "--advise", "--no-probe", *described, *facts, str(script),
        ],
    }  # fmt: skip
    if shutil.which("sbatch") and subprocess.run(["sinfo"], capture_output=True, check=False).returncode == 0:
        compared["sbatch --test-only"] = ["sbatch", "--test-only", "--wrap", "true"]
        compared["gsbatch --advise, facts given, this Slurm"] = [gsbatch, "--advise", "--no-probe", *facts, str(script)]
        compared["gsbatch --test-only, facts given, this Slurm"] = [
            gsbatch, "--test-only", "--no-probe", *facts, str(script),
        ]  # fmt: skip
    return compared


def wall_seconds(argv: Sequence[str]) -> float:
    """One run's wall time; output is read and thrown away, a failing status is an error."""
    begun = time.perf_counter()
    subprocess.run(argv, capture_output=True, check=True)
    return time.perf_counter() - begun


def main() -> None:
    """Time the commands in turn, A B C A B C ..., and print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    runs = parser.parse_args().runs
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text("print('never run here')\n", encoding="utf-8")
        compared = commands(Path(sys.executable).parent, script)
        for argv in compared.values():
            wall_seconds(argv)  # fills caches, as a user's second call of the day finds them
        seconds: dict[str, list[float]] = {name: [] for name in compared}
        for _ in range(runs):
            for name, argv in compared.items():
                seconds[name].append(wall_seconds(argv))
    print(f"| command ({runs} runs in turn) | median s | min | max |\n|---|---|---|---|")
    for name, times in seconds.items():
        print(f"| `{name}` | {statistics.median(times):.3f} | {min(times):.3f} | {max(times):.3f} |")


if __name__ == "__main__":
    main()
