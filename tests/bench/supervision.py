"""What it costs that a submission is two processes (advisor/cli/supervised.py): wall time with and without the second.

    python -m tests.bench.supervision [--runs 20]

The same submission, in turn, to an sbatch that answers at once; without the second process ``supervised`` is replaced
by one that does not fork. Medians of wall and CPU time; one run of each is made first to fill caches.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MAIN = "from advisor.cli.gsbatch import main; main()"
ALONE = f"""
from advisor.cli import supervised
class Child(supervised.Child):
    def _say(self, what, text):
        pass
supervised.supervised = lambda tell, reads_stdin: Child(False, -1, ())
{MAIN}
"""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=20)
    runs = parser.parse_args().runs
    codes = {"two processes": MAIN, "one process": ALONE}
    wall_s: dict[str, list[float]] = {name: [] for name in codes}
    cpu_s: dict[str, list[float]] = {name: [] for name in codes}
    with tempfile.TemporaryDirectory() as folder:
        environment = _environment(Path(folder))
        for number in range(runs + 1):
            for name, code in codes.items():
                begun, used_s = time.perf_counter(), _cpu_s()
                command = [sys.executable, "-c", code, "--no-probe", "train.py"]
                subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=True)
                wall_s[name] += [time.perf_counter() - begun] if number else []
                cpu_s[name] += [_cpu_s() - used_s] if number else []
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {runs} runs\n")
    print("| submission by | wall ms | min | max | CPU ms |\n|---|---|---|---|---|")
    for name, times in wall_s.items():
        values = [statistics.median(times), min(times), max(times), statistics.median(cpu_s[name])]
        print(f"| {name} | {' | '.join(f'{1000 * value:.0f}' for value in values)} |")


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _environment(folder: Path) -> dict[str, str]:
    sbatch = folder / "bin" / "sbatch"
    sbatch.parent.mkdir()
    sbatch.write_text("#!/bin/sh\necho Submitted batch job 42\n", encoding="utf-8")
    sbatch.chmod(0o700)
    (folder / "train.py").write_text("print('never run here')\n", encoding="utf-8")
    return {**os.environ, "HOME": str(folder), "PATH": f"{sbatch.parent}:{os.environ['PATH']}"}


if __name__ == "__main__":
    main()
