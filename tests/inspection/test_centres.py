"""Batch scripts in the style of computing centres: the Python command that bash would run is found in each.

Each file of centres/ says in its second line what is right: ``script`` or ``module``, ``arguments`` (null for one that
cannot be known), ``processes`` in all, and where they matter the launcher, container, environment manager and the
``rounds`` of a loop; ``given`` are the arguments of the batch script.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from advisor.inspection.launch.launches import Launch, find_launches
from advisor.inspection.shell.state import HOLE
from advisor.request.asked import read_asked
from advisor.request.directives import read_header
from advisor.request.slurm_variables import slurm_variables

HERE = Path(__file__).parent / "centres"
SCRIPTS = sorted(HERE.glob("*.sh"))


def launches_of(path: Path, right: dict[str, Any]) -> list[Launch]:
    """The launches of a script in the job that its header asks for."""
    header = read_header(path.read_text(encoding="utf-8"))
    asked = read_asked((), {}, header.options)
    variables = {"PWD": "/project/ann", "HOME": "/home/ann", "USER": "ann", "SLURM_SUBMIT_DIR": "/project/ann"}

    def read_file(name: str, _folder: str | None) -> str | None:
        file = HERE / "beside" / name
        return file.read_text(encoding="utf-8") if file.is_file() else None

    found = find_launches(
        header.body,
        arguments=right.get("given", ()),
        variables={**variables, **slurm_variables(asked.options)},
        read_file=read_file,
    )
    return [launch for launch in found.found if launch.text is None]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_the_training_of_a_centre_s_script_is_found(path: Path) -> None:
    """One Python command, with its arguments and the number of its processes; what is not known stays unknown."""
    right = json.loads(path.read_text(encoding="utf-8").splitlines()[1].removeprefix("#="))
    found = launches_of(path, right)
    first = found[0]

    assert right.get("rounds", 1) == len(found)
    assert (right.get("script"), right.get("module")) == (first.script, first.module)
    assert right["arguments"] == [None if HOLE in item else item for item in first.arguments]
    assert right["processes"] == first.processes
    assert right.get("container") == first.container
    assert right.get("manager") == first.environment_manager
    assert right.get("launcher", first.launcher) == first.launcher


def test_there_are_enough_scripts() -> None:
    """An empty folder would pass every test above."""
    assert len(SCRIPTS) >= 30
