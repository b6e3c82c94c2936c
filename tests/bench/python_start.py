"""What a recorded job adds to each start of Python: ``python -c pass`` with the hook and without, by turns.

    python -m tests.bench.python_start [--runs 20] [--python PYTHON ...]

Prints Markdown. pip compiles the hook's files for the Python that installs them; another Python of the user's, which
may not write there, compiles them at each start. Both are measured. All starts happen inside one recorded job, so that
the sampler runs beside them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

from advisor.submission.environment import INJECTED_FOLDER

BUDGET_MS = 3.0
# Run by the recorder; what it prints is milliseconds with the hook and without.
TURNS = """
import json, os, subprocess, sys, time
python, runs, hook = sys.argv[1], int(sys.argv[2]), sys.argv[3]
hooked = {**os.environ, "PYTHONPATH": hook, "PYTHONDONTWRITEBYTECODE": "1"}
plain = {name: value for name, value in hooked.items() if name != "PYTHONPATH" and not name.startswith("GSBATCH_")}
took = {"hooked": [], "plain": []}
for number in range(runs + 2):
    for name, environment in (("hooked", hooked), ("plain", plain))[:: 1 if number % 2 else -1]:
        begun = time.perf_counter()
        subprocess.run([python, "-c", "pass"], env=environment, check=True)
        if number >= 2:
            took[name].append(1000 * (time.perf_counter() - begun))
print(json.dumps(took))
"""


def measure(python: str, runs: int, folder: Path, hook: Path) -> dict[str, list[float]]:
    """Milliseconds of each start, with the hook and without."""
    recorder = [sys.executable, "-I", "-m", "advisor.telemetry.recorder", "--spool", str(folder / "spool"), "--"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(
        [*recorder, sys.executable, "-I", "-c", TURNS, python, str(runs), str(hook)],
        capture_output=True,
        text=True,
        check=True,
        env=environment,
        cwd=folder,
    )
    took: dict[str, list[float]] = json.loads(done.stdout)
    return took


def main() -> None:
    """Measure each interpreter and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--python", nargs="*", default=[sys.executable])
    options = parser.parse_args()
    print(f"{datetime.now(timezone.utc):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} CPUs, {options.runs} turns\n")
    print("| Python, hook's files | without, median ms | with it, median ms | median difference, ms | budget, ms |")
    print("|---|---|---|---|---|")
    for python in map(os.path.abspath, options.python):
        version = subprocess.run([python, "-V"], capture_output=True, text=True, check=True).stdout.split()[-1]
        for state in ("compiled", "not compiled"):
            with tempfile.TemporaryDirectory() as folder:
                hook = Path(folder) / "injected"
                shutil.copytree(INJECTED_FOLDER, hook, ignore=shutil.ignore_patterns("__pycache__"))
                if state == "compiled":
                    subprocess.run([python, "-m", "compileall", "-q", str(hook)], check=True)
                took = measure(python, options.runs, Path(folder), hook)
            difference = statistics.median(one - two for one, two in zip(took["hooked"], took["plain"], strict=True))
            plain, hooked = statistics.median(took["plain"]), statistics.median(took["hooked"])
            print(f"| {version}, {state} | {plain:.1f} | {hooked:.1f} | {difference:+.1f} | {BUDGET_MS:g} |")


if __name__ == "__main__":
    main()
