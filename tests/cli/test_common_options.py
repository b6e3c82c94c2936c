"""What people try first works on all four commands alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import advisor

BIN = Path(sys.executable).parent
COMMANDS = ("gsbatch", "gsinfo", "gseff", "gsadmin")


def _run(command: str, option: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PATH": "/nonexistent"}  # without sbatch
    return subprocess.run([BIN / command, option], capture_output=True, text=True, check=False, env=environment)


@pytest.mark.parametrize("option", ["-h", "--help"])
@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_a_usage_line_and_examples(command: str, option: str) -> None:
    """On stdout, with status 0."""
    done = _run(command, option)

    assert (0, "") == (done.returncode, done.stderr)
    assert f"Usage: {command}" in done.stdout
    assert "Examples:" in done.stdout


@pytest.mark.parametrize("command", COMMANDS)
def test_version_is_the_packages(command: str) -> None:
    """One line that names the command."""
    done = _run(command, "--version")

    assert (0, "") == (done.returncode, done.stderr)
    assert {command, advisor.__version__} <= set(done.stdout.replace(",", " ").split())


@pytest.mark.parametrize("command", COMMANDS)
def test_an_option_that_there_is_not_is_a_usage_error(command: str) -> None:
    """Status 2 and no traceback; gsbatch leaves options that it does not know to sbatch, which is not here."""
    done = _run(command, "--no-such-option")

    assert (3 if command == "gsbatch" else 2) == done.returncode
    assert "Traceback" not in done.stderr
    assert "" == done.stdout
