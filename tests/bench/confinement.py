"""What a dry run may do to its user's other processes, files and terminals: a table of attempts and their results.

    python -m tests.bench.confinement [--json]

Every attempt of tests/inspection/confinement/attempts.py is made in a dry run, once for each way in which this kernel
can confine it (advisor/inspection/confine.py; the better ways are switched off for the others), and without confinement
where that is harmless. A sibling process, its files and its terminal are looked at before and after: what changed
stands below the table. ``done*`` is what answered that it was done and was not.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from advisor.inspection.confine import WAYS, landlock_version, way_here
from advisor.inspection.dry_run import dry_run
from tests.inspection.confinement.attempts import ATTEMPTS, PRETENDED, REACHES_FURTHER, groups
from tests.inspection.confinement.victim import Victim, victim

SCRIPT = Path(__file__).parents[1] / "inspection" / "confinement" / "attempts.py"
PLAIN = "none"
NAMES = {PLAIN: "not confined", "landlock": "Landlock", "namespaces": "namespaces", "system_calls": "seccomp alone"}


def main() -> None:
    """Make all attempts and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    ways = [way for way in WAYS if way_here((way,)) == way]
    results, changed = {}, {}
    for way in (PLAIN, *ways):
        with tempfile.TemporaryDirectory() as folder, victim(Path(folder) / "home") as other:
            before = other.state()
            results[way] = _plainly(other, folder) if way == PLAIN else _confined(other, way)
            changed[way] = sorted(name for name, value in other.state().items() if value != before[name])
            Path(f"/dev/shm/{other.folder.name}").unlink(missing_ok=True)  # noqa: S108 (made by an attempt)
    if asked.json:
        print(json.dumps({"kernel": platform.release(), "results": results, "changed": changed}))
        return
    print(f"Linux {platform.release()}, {platform.machine()}, Landlock {landlock_version()}, uid {os.getuid()}\n")
    print(_table(results))
    print("\n| way | changed outside the dry run |\n|---|---|")
    for way, names in changed.items():
        print(f"| {NAMES[way]} | {', '.join(names) or 'nothing'} |")


def _plainly(other: Victim, folder: str) -> dict[str, str]:
    names = [name for name in ATTEMPTS if name not in REACHES_FURTHER]
    done = subprocess.run(
        [sys.executable, SCRIPT, other.targets, *names],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "TMPDIR": folder},
    )
    return dict(line.split() for line in done.stdout.splitlines())


def _confined(other: Victim, way: str) -> dict[str, str]:
    found = dry_run(SCRIPT, (other.targets,), interpreter=(sys.executable,), environment=dict(os.environ), ways=(way,))
    return dict(note.split() for note in found.notes)


def _table(results: dict[str, dict[str, str]]) -> str:
    rows = [f"| attempt | {' | '.join(NAMES[way] for way in results)} |", "|---|" + "---|" * len(results)]
    for group, names in groups().items():
        rows.append(f"| **{group}** |" + " |" * len(results))
        for name in names:
            cells = [_cell(name, results[way].get(name, "not tried"), way) for way in results]
            rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def _cell(name: str, result: str, way: str) -> Any:
    return "done*" if result == "done" and name in PRETENDED and way != PLAIN else result


if __name__ == "__main__":
    main()
