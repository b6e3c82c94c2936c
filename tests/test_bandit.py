"""What bandit finds is answered: by a reason on its line, or in the table here."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from tests.capabilities import REPOSITORY

# Bandit's test, the files it is answered for, and the answer; everything else is answered where it stands.
ANSWERS = {
    ("B404", ""): "starting programs is what gsbatch is for; how each is started is looked at below",
    ("B603", ""): "lists of arguments without a shell are the safe way to start them",
    ("B110", "advisor/injected/"): "what runs in the user's interpreter never raises into it",
    ("B105", "advisor/injected/gsbatch_inside/frameworks/hub/tokenizers.py"): "special tokens of a vocabulary",
    ("B403", "advisor/inspection/bounded_call.py"): "see B301",
    ("B301", "advisor/inspection/bounded_call.py"): "the child runs this program's own code, as the same user",
    (
        "B604",
        "advisor/inspection/shell/run.py",
    ): "a field named shell, which holds what bash would know; nothing is run",
    ("B701", "advisor/rendering/render.py"): "batch scripts are no HTML; values are quoted for the shell",
}


def _found() -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "bandit", "--quiet", "--recursive", "--format", "json", "advisor"],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )
    found: list[dict[str, Any]] = json.loads(done.stdout)["results"]
    return found


def _is_answered(finding: dict[str, Any]) -> bool:
    name = finding["filename"].removeprefix("./")
    if any(finding["test_id"] == test and name.startswith(place) for test, place in ANSWERS):
        return True
    lines = (REPOSITORY / name).read_text(encoding="utf-8").splitlines()
    # Ruff has the same tests under the letter S; its exceptions bear a reason in brackets.
    code = f"S{finding['test_id'][1:]}"
    where = [lines[number - 1] for number in finding["line_range"] if number <= len(lines)]
    return any(f"{code} (" in line or (code in line and line.rstrip().endswith(")")) for line in where)


def test_every_finding_is_answered() -> None:
    """A new one is mended, or its line says why it is none."""
    found = _found()

    assert found, "bandit found nothing at all: was it run?"
    assert [] == [
        f"{item['filename']}:{item['line_number']} {item['issue_text']}" for item in found if not _is_answered(item)
    ]
