"""Training loops that the dry run goes over in a few iterations count as if they had run to their end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

INJECTED = Path(__file__).parents[3] / "advisor" / "injected"
_PROGRAM = """
import builtins, json, os, sys
sys.path.insert(0, {injected!r})
from gsbatch_inside.dry_run import loop_source
from gsbatch_inside.dry_run.report import Report
from gsbatch_inside.dry_run.session import DryRun
session = DryRun({{"script": "script"}}, Report(os.open(os.devnull, os.O_WRONLY)))
setattr(builtins, loop_source.NAME, session.loops)
calls = []
class Optimizer:
    def __init__(self, name):
        self.name = name
    def step(self):
        calls.append(self.name)
        session.tally.add(("steps", self.name))
names = {{"Optimizer": Optimizer}}
exec(session.source.compiled({script!r}.encode(), "script"), names)
counts = {{key[1]: count for key, count in session.tally.snapshot().items()}}
print(json.dumps([counts, len(calls), names.get("seen")]))
"""

STEP_DRIVEN = """
o, step = Optimizer("a"), 0
while step < 3 * 938:
    for batch in iter(range(938)):
        o.step()
        step += 1
seen = step
"""
BROKEN_OUT_OF = """
o, step = Optimizer("a"), 0
def batches():
    yield from range(100)
while True:
    for batch in batches():
        o.step()
        step += 1
        if step >= 1050:
            break
    if step >= 1050:
        break
seen = step
"""
RETURNED_FROM = """
o, seen = Optimizer("a"), 0
def train():
    global seen
    for epoch in range(1000):
        for batch in range(10):
            o.step()
            seen += 1
            if seen == 77:
                return
train()
"""
LONG_WHILE = """
o, seen = Optimizer("a"), 0
while True:
    o.step()
    seen += 1
    if seen > 600000:
        break
"""
ACCUMULATED = """
o = Optimizer("a")
for epoch in range(2):
    for seen in range(103):
        if (seen + 1) % 4 == 0 or seen + 1 == 103:
            o.step()
"""
TWO_OPTIMIZERS = """
d, g = Optimizer("d"), Optimizer("g")
for epoch in range(2):
    for index, batch in enumerate(range(1000)):
        d.step()
        if index % 5 == 0:
            g.step()
seen = index
"""
PATIENT = """
o, bad, best = Optimizer("a"), 0, 0
for seen in range(50):
    for batch in range(10):
        o.step()
    if 0 > best:
        bad = 0
    else:
        bad += 1
    if bad >= 5:
        break
"""


@pytest.mark.parametrize(
    ("script", "steps", "seen"),
    [
        pytest.param(STEP_DRIVEN, {"a": 2814}, 2814, id="while step < epochs * len(loader)"),
        pytest.param(BROKEN_OUT_OF, {"a": 1050}, 1050, id="breaks at most steps"),
        pytest.param(RETURNED_FROM, {"a": 77}, 77, id="returns at most steps"),
        pytest.param(LONG_WHILE, {"a": 600_001}, 600_001, id="while True"),
        pytest.param(ACCUMULATED, {"a": 52}, 102, id="gradient accumulation with a short last window"),
        pytest.param(TWO_OPTIMIZERS, {"d": 2000, "g": 400}, 999, id="two optimizers, one of them now and then"),
        pytest.param(PATIENT, {"a": 500}, 49, id="early stopping on made-up losses"),
    ],
)
def test_loop_is_counted_whole(script: str, steps: dict[str, int], seen: int) -> None:
    """The steps are those of the whole run, the script's own counters stand where they would, few steps are made."""
    program = _PROGRAM.format(injected=str(INJECTED), script=script)
    done = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True, env=dict(os.environ)
    )
    counts, calls, value = json.loads(done.stdout)

    assert steps == counts
    assert seen == value
    assert calls <= 200
