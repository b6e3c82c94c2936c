"""Start-up and size of installed gsbatch, of several installations side by side, in one run: medians of seconds.

    python -m tests.bench.startup [--runs 10] [--installed NAME=ENVIRONMENT ...]

An ENVIRONMENT is the folder of a virtual environment with gsbatch in it; without any, the one that runs this program.
``sbatch --test-only`` is timed where a Slurm answers (SLURM_CONF, or a test cluster:
``python -m tests.real_slurm.cluster run --dir DIR -- python -m tests.bench.startup``). A size is that of all files in
site-packages but pip and setuptools, which a virtual environment has anyway. CPU seconds are those of the command and
its children, user and system together: a busy machine changes them far less than wall seconds.
"""

from __future__ import annotations

import argparse
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FACTS = ("batch_size=32", "epochs=50", "train_samples=50000", "validation_samples=10000", "parameters=25600000",
         "trainable_parameters=25600000", "forward_flops_per_sample=8.2e9", "input_shape=224,224,3",
         "framework=tensorflow", "precision=float32", "optimizer=adam", "model_name=resnet50")  # fmt: skip
_OF_EVERY_ENVIRONMENT = ("pip", "setuptools", "pkg_resources", "_distutils_hack")


def commands(environment: Path, script: Path, *, has_slurm: bool) -> dict[str, list[str]]:
    """What is timed of one installation; every run of each does the same work."""
    facts = [argument for fact in FACTS for argument in ("--set", fact)]
    gsbatch = str(environment / "bin" / "gsbatch")
    described = ["--inventory", str(ROOT / "docs" / "examples" / "datacentre.toml")]
    timed = {
        "gsbatch --help": [gsbatch, "--help"],
        "gsbatch --advise, facts given, described cluster": [
            gsbatch, "--advise", "--no-probe", *described, *facts, str(script),
        ],
        "gseff --help": [str(environment / "bin" / "gseff"), "--help"],
        "gsadmin --help": [str(environment / "bin" / "gsadmin"), "--help"],
    }  # fmt: skip
    if has_slurm:
        timed["gsbatch --advise, facts given, this Slurm"] = [gsbatch, "--advise", "--no-probe", *facts, str(script)]
        timed["gsbatch --test-only, facts given, this Slurm"] = [
            gsbatch, "--test-only", "--no-probe", *facts, str(script),
        ]  # fmt: skip
    return timed


def wall_and_cpu_seconds(argv: Sequence[str]) -> tuple[float, float]:
    """One run's wall time and CPU time; output is read and thrown away, a failing status is an error."""
    begun_s, used_s = time.perf_counter(), _cpu_seconds_of_children()
    subprocess.run(argv, capture_output=True, check=True)
    return time.perf_counter() - begun_s, _cpu_seconds_of_children() - used_s


def _cpu_seconds_of_children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def installed_bytes(environment: Path) -> int:
    """The size of all files that gsbatch and what it needs have put into an environment."""
    (packages,) = environment.glob("lib/python3*/site-packages")
    return sum(
        file.lstat().st_size
        for entry in packages.iterdir()
        if not entry.name.startswith(_OF_EVERY_ENVIRONMENT)
        for file in ([entry] if entry.is_file() else entry.rglob("*"))
        if not file.is_dir()
    )


def timed_in_turn(
    compared: Mapping[tuple[str, str], Sequence[str]], runs: int
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """Time the commands in turn, A B C A B C ..., after one run of each that fills caches."""
    seconds: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in compared}
    for number in range(runs + 1):
        for key, argv in compared.items():
            took = wall_and_cpu_seconds(argv)
            seconds[key] += [took] if number else []
    return seconds


def main() -> None:
    """Print sizes and times as Markdown tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--installed", action="append", default=[], metavar="NAME=ENVIRONMENT")
    options = parser.parse_args()
    named = dict(text.split("=", 1) for text in options.installed) or {"this": sys.prefix}
    environments = {name: Path(folder) for name, folder in named.items()}
    has_slurm = (
        bool(shutil.which("sbatch")) and not subprocess.run(["sinfo"], capture_output=True, check=False).returncode
    )
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "train.py"
        script.write_text("print('never run here')\n", encoding="utf-8")
        compared: dict[tuple[str, str], Sequence[str]] = {("python -c pass", ""): [sys.executable, "-c", "pass"]}
        if has_slurm:
            compared["sbatch --test-only", ""] = ["sbatch", "--test-only", "--wrap", "true"]
        for name, environment in environments.items():
            for command, argv in commands(environment, script, has_slurm=has_slurm).items():
                compared[command, name] = argv
        seconds = timed_in_turn(compared, options.runs)
    print("| installation | MiB |\n|---|---|")
    for name, environment in environments.items():
        print(f"| {name} | {installed_bytes(environment) / 1024**2:.1f} |")
    print(f"\n| command ({options.runs} runs in turn) | installation | median s | min | max | median CPU s |")
    print("|---|---|---|---|---|---|")
    for (command, name), times in sorted(seconds.items(), key=lambda item: item[0][0]):
        wall, cpu = zip(*times, strict=True)
        figures = (statistics.median(wall), min(wall), max(wall), statistics.median(cpu))
        print(f"| `{command}` | {name} | {' | '.join(f'{figure:.3f}' for figure in figures)} |")


if __name__ == "__main__":
    main()
