"""Programs that only tell something are answered for."""

from __future__ import annotations

import json
import subprocess
import sys

from advisor.injected.gsbatch_inside.sandbox.programs import answer_of


def test_python_is_answered_for_where_it_is_asked_for_its_folders() -> None:
    """A library that reads signatures asks so, and without an answer leaves every argument out."""
    command = [sys.executable, "-c", "import sys, json; print(json.dumps(sys.path))"]

    found = json.loads(answer_of(command))

    really = json.loads(subprocess.check_output(command, text=True))
    assert set() == set(really[1:]) - set(found)


def test_another_program_says_nothing() -> None:
    """No answer is made up."""
    assert "" == answer_of([sys.executable, "-c", "print(1)"])
