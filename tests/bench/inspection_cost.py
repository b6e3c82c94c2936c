"""What a dry run costs: wall and CPU time, memory, and the second time; how soon a hostile script is stopped.

    python -m tests.bench.inspection_cost [--hostile] [--repeat N] [--json]

Each dry run is measured from a process of its own, beside the import of its framework alone in the same interpreter.
Memory is the largest peak of a process. ``cached`` is the wall time of asking again when nothing has changed; the same
process would have to start Python and read the script first, which is not counted. CPU time tells more than wall time
where the machine is busy: a dry run has the lowest priority.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from advisor.inspection.bounds import Bounds
from advisor.inspection.cache import Question, remember, remembered
from advisor.inspection.dry_run import dry_run
from advisor.units import MIB
from tests.capabilities import frameworks_python

ROOT = Path(__file__).parents[2]
HOSTILE = ROOT / "tests" / "inspection" / "confinement" / "hostile"
TORCH = """
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
model = nn.Sequential(nn.Conv2d(3, 32, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10))
loader = DataLoader(TensorDataset(torch.zeros(1000, 3, 32, 32), torch.zeros(1000, dtype=torch.long)), batch_size=50)
optimizer = torch.optim.Adam(model.parameters())
for epoch in range(5):
    for x, y in loader:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
"""
LARGE = """
import torch
from torch import nn
class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(50257, 1600)
        layer = nn.TransformerEncoderLayer(1600, 25, 6400, batch_first=True)
        self.blocks = nn.TransformerEncoder(layer, 48)
        self.head = nn.Linear(1600, 50257)
    def forward(self, tokens):
        return self.head(self.blocks(self.words(tokens)))
model = Model()
optimizer = torch.optim.AdamW(model.parameters())
for step in range(100):
    tokens = torch.randint(0, 50257, (4, 256))
    loss = nn.functional.cross_entropy(model(tokens).flatten(0, 1), tokens.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
"""


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hostile", action="store_true", help="the scripts that harm, in place of those that train")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--one", nargs=3, metavar=("SCRIPT", "INTERPRETER", "BOUNDED"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        print(json.dumps(_one(Path(given.one[0]), given.one[1], bounded=given.one[2] == "yes")))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = _hostile(Path(folder)) if given.hostile else _training(Path(folder), given.repeat)
    if given.json:
        print(json.dumps({"load": os.getloadavg()[0], "rows": rows}))
        return
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for row in rows:
        print("  ".join(f"{name} {value}" for name, value in row.items()))


def _training(folder: Path, repeat: int) -> list[dict[str, Any]]:
    rows = []
    torch = frameworks_python("torch")
    cases = [("tensorflow", ROOT / "docs" / "examples" / "train_keras.py", sys.executable)]
    for name, source in (("torch", TORCH), ("torch, 1.6e9 parameters", LARGE)):
        if torch is not None:
            script = folder / f"{len(cases)}.py"
            script.write_text(source, encoding="utf-8")
            cases.append((name, script, torch))
    for name, script, interpreter in cases:
        imports = [_import(interpreter, name.split(",")[0]) for _ in range(repeat)]
        found = [_measured(script, interpreter, bounded=False) for _ in range(repeat)]
        rows.append(
            {
                "script": name,
                **{f"import_{key}": round(statistics.median(run[key] for run in imports), 2) for key in imports[0]},
                **{key: round(statistics.median(run[key] for run in found), 2) for key in ("wall_s", "cpu_s")},
                "peak_mib": max(run["peak_mib"] for run in found),
                "cached_s": max(run["cached_s"] for run in found),
                "parameters": found[-1]["parameters"],
                "ended": found[-1]["ended"],
            }
        )
    return rows


def _hostile(folder: Path) -> list[dict[str, Any]]:
    rows = []
    (folder / "folder").mkdir()
    (folder / "precious").touch()
    for source in sorted(HOSTILE.glob("*.py")):
        script = Path(shutil.copy(source, folder))
        found = _measured(script, sys.executable, bounded=True)
        rows.append({"script": script.stem, "wall_s": round(found["wall_s"], 2), "ended": found["ended"]})
    return rows


def _measured(script: Path, interpreter: str, *, bounded: bool) -> dict[str, Any]:
    words = ["-m", "tests.bench.inspection_cost", "--one", str(script), interpreter, "yes" if bounded else "no"]
    answer = subprocess.run([sys.executable, *words], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    found: dict[str, Any] = json.loads(answer)
    return found


def _import(interpreter: str, framework: str) -> dict[str, float]:
    begun, used_s = time.perf_counter(), _children_cpu_s()
    subprocess.run([interpreter, "-c", f"import {framework}"], check=True, capture_output=True)
    return {"wall_s": time.perf_counter() - begun, "cpu_s": _children_cpu_s() - used_s}


def _children_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _one(script: Path, interpreter: str, *, bounded: bool) -> dict[str, Any]:
    question = Question(script=script, arguments=(), interpreter=(interpreter,), environment=dict(os.environ))
    # With the bounds of a submission, but for what it would take longest to wait for.
    bounds = Bounds(wall_s=10.0, cpu_s=5) if bounded else Bounds()
    found = dry_run(
        script, (), interpreter=question.interpreter, environment=question.environment, unconfined=True, bounds=bounds
    )
    cpu_s, peak_kib = _children_cpu_s(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        remember(Path(folder), question, found)
        begun = time.perf_counter()
        remembered(Path(folder), question)
        cached_s = time.perf_counter() - begun
    return {
        "wall_s": found.seconds,
        "cpu_s": cpu_s,
        "peak_mib": peak_kib * 1024 // MIB,
        "cached_s": round(cached_s, 4),
        "parameters": found.phases[0].get("parameters") if found.phases else None,
        "ended": found.ended,
    }


if __name__ == "__main__":
    main()
