"""What a submission loads: what takes long to load, or is not installed on a login node, stays away."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.gsbatch_calls import FACTS, Gsbatch, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch

_AFTERWARDS = """
import sys
from advisor.cli.{} import main
try:
    main()
except SystemExit:
    pass
print("LOADED", *sys.modules)
"""
_EXTRAS = {"pandas", "sklearn", "scipy", "skops", "threadpoolctl", "tensorflow", "amdsmi", "pyslurm"}


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch with an sbatch that accepts everything."""
    install_fake_sbatch(tmp_path / "bin").answers()
    return make_gsbatch(tmp_path)


def _loaded(gsbatch: Gsbatch, *arguments: str, command: str = "gsbatch") -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _AFTERWARDS.format(command), *arguments],
        cwd=gsbatch.folder,
        capture_output=True,
        text=True,
        check=True,
        env=dict(gsbatch.variables),
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("LOADED"))
    return {name.partition(".")[0] for name in line.split()[1:]}


@pytest.mark.parametrize("mode", ["--advise", "--test-only"])
def test_advice_loads_no_extra_no_database_and_no_click(gsbatch: Gsbatch, mode: str) -> None:
    """sqlite-utils loads pandas where that is installed, which takes 0.4 s."""
    loaded = _loaded(gsbatch, mode, *FACTS, "train.py")

    assert "numpy" in loaded
    assert set() == loaded & (_EXTRAS | {"sqlite_utils", "click", "yaml", "pynvml"})


def test_help_loads_nothing_but_the_standard_library(gsbatch: Gsbatch) -> None:
    """Help is what a newcomer asks for first, and what tab completion asks for often."""
    loaded = _loaded(gsbatch, "--help")

    assert set() == loaded & (
        _EXTRAS | {"sqlite_utils", "click", "yaml", "pynvml", "numpy", "jinja2", "rich", "psutil"}
    )


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("gsinfo", ()),
        ("gsinfo", ("--json",)),
        ("gseff", ("--help",)),
        ("gseff", ("local-1-1",)),
        ("gsadmin", ("--help",)),
    ],
)
def test_the_other_commands_load_no_numpy(gsbatch: Gsbatch, command: str, arguments: tuple[str, ...]) -> None:
    """None of them predicts anything here, and each is called often and answers at once."""
    loaded = _loaded(gsbatch, *arguments, command=command)

    assert "click" in loaded
    assert set() == loaded & (_EXTRAS | {"numpy", "sqlite_utils", "yaml", "pynvml"})
