"""Adapters of frameworks: what they wait for, what they attach with, and what a mistake of theirs may do."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bench.structure import structure

INJECTED = Path(__file__).parents[2] / "advisor" / "injected"
PACKAGE = INJECTED / "gsbatch_inside"
TABLE = json.loads((PACKAGE / "frameworks" / "frameworks.json").read_text(encoding="utf-8"))
PLACES = [(kind, place) for entry in TABLE.values() for kind in ("dry_run", "epochs") for place in entry.get(kind, {})]


@pytest.mark.parametrize(("kind", "place"), PLACES)
def test_every_place_in_the_table_attaches(kind: str, place: str) -> None:
    """A file that is not there, or has no ``attach(module, session)``, would be found missing by users only."""
    path = PACKAGE.joinpath("frameworks", *place.split(".")).with_suffix(".py")
    functions = {node.name: node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}

    assert 2 == len(functions["attach"].args.args), kind


def test_the_hook_starts_with_the_frameworks_of_the_table() -> None:
    """The names that sitecustomize waits for are those of packages whose epochs are marked."""
    tree = ast.parse((INJECTED / "sitecustomize.py").read_text(encoding="utf-8"))
    (names,) = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id == "_FRAMEWORKS"
    ]

    assert {name for entry in TABLE.values() if "epochs" in entry for name in entry["packages"]} == set(names)


def test_no_module_keeps_state() -> None:
    """The session of a run owns it all, so that two runs in one process, as in tests, do not meet."""
    found = structure(PACKAGE)

    assert (0, 0) == (found.containers, found.circles)


def test_a_mistake_of_an_adapter_stays_in_it(tmp_path: Path) -> None:
    """Neither the import that it waits for nor the function that it wraps fails with it."""
    (tmp_path / "awaited.py").write_text("def work():\n    return 7\n", encoding="utf-8")
    program = f"""
import sys
sys.path[:0] = [{str(INJECTED)!r}, {str(tmp_path)!r}]
from gsbatch_inside.contract import Adapter, Session
failures = []
class Run(Session):
    def failed(self, function, exc):
        failures.append(type(exc).__name__)
class Failing(Adapter):
    def attach(self, module, session):
        watched = session.guard(lambda: 1 / 0)
        original = module.work
        module.work = lambda: (watched(), original())[1]
        raise RuntimeError
Failing(["awaited"], "nowhere").wait(Run())
import awaited
print(awaited.work(), failures)
"""
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)

    assert "7 ['RuntimeError', 'ZeroDivisionError']" == done.stdout.strip()
