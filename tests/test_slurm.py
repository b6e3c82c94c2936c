"""The one file that runs Slurm's commands: argv in, text out, errors translated."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from advisor import slurm
from advisor.errors import SlurmCommandFailed, SlurmNotFound


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for scontrol, first on PATH; the test writes what it does."""
    path = tmp_path / "scontrol"
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return path


def _does(program: Path, lines: str) -> None:
    program.write_text(f"#!/bin/sh\n{lines}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


def test_an_answer_is_stdout_alone(program: Path) -> None:
    """Slurm warns on stderr (a plugin, a PMIx library) and still answers."""
    _does(program, "echo 'NodeName=n1'; echo 'error: plugin' >&2")

    assert "NodeName=n1\n" == slurm.run("scontrol", "show", "node")


def test_arguments_are_passed_as_they_are(program: Path) -> None:
    """No shell stands between: spaces, quotes and dollars reach Slurm."""
    _does(program, 'for word in "$@"; do echo "<$word>"; done')

    assert "<a b>\n<$HOME>\n<'>\n" == slurm.run("scontrol", "a b", "$HOME", "'")


def test_a_failure_holds_status_and_slurms_last_words(program: Path) -> None:
    """The user reads what Slurm said, and is given the next step."""
    _does(program, "echo 'slurm_load_node error: Unable to contact slurm controller' >&2; exit 1")

    with pytest.raises(SlurmCommandFailed, match="Unable to contact slurm controller") as caught:
        slurm.run("scontrol", "show", "node")

    assert (1, "Is slurmctld up? Try: scontrol ping") == (caught.value.returncode, caught.value.hint)


def test_a_command_that_hangs_is_ended(program: Path) -> None:
    """A controller that does not answer costs the time limit, not the user's day."""
    _does(program, "exec sleep 60")

    with pytest.raises(SlurmCommandFailed, match="took too long") as caught:
        slurm.run("scontrol", "ping", timeout_s=0.2)

    assert caught.value.returncode is None


def test_a_command_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Not on PATH, or there and not executable."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SlurmNotFound, match="'scontrol' is not on PATH"):
        slurm.run("scontrol", "ping")
    assert not slurm.is_installed()


def test_text_that_is_not_utf8_is_kept_visible(program: Path) -> None:
    """Job names and reasons are written by people, in whatever encoding their terminal had."""
    _does(program, r"printf 'Reason=caf\351\n'")

    assert "Reason=caf\\xe9\n" == slurm.run("scontrol", "show", "node")


def test_times_are_asked_for_in_iso_form(program: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sites change SLURM_TIME_FORMAT; the parsers know one."""
    monkeypatch.setenv("SLURM_TIME_FORMAT", "relative")
    _does(program, 'echo "$SLURM_TIME_FORMAT"')

    assert "standard\n" == slurm.run("scontrol")


def test_a_question_gives_all_that_was_said(program: Path) -> None:
    """``ask`` leaves a failing status to its caller, and passes standard input."""
    _does(program, "cat; echo no >&2; exit 3")

    answer = slurm.ask(["scontrol"], timeout_s=5.0, stdin_text="hello")

    assert slurm.Answer(3, "hello", "no\n") == answer
