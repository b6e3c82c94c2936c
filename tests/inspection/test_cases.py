"""Small scripts of each kind of fault that inspection has met on public training scripts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.inspection import inspected_alone
from tests.inspection.truth import script_set

CASES = Path(__file__).parent / "cases"
SCRIPTS = {script.name: script for script in script_set(CASES)}

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_fact_is_right(name: str) -> None:
    """Right, or unknown where the truth allows it."""
    script = SCRIPTS[name]
    if script.interpreter() is None:
        pytest.skip("needs tests/frameworks.sh's interpreter")
    found = inspected_alone(script, CASES, static=False)["facts"]

    assert {} == {fact: (said["answer"], said["right"]) for fact, said in found.items() if said["verdict"] != "right"}
