"""A dry run is remembered as long as nothing that it looked at has changed, and no longer."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from advisor.inspection.cache import Question, dry_run_once, remember, remembered
from advisor.inspection.dry_run import DryRun, dry_run
from advisor.inspection.reads import Reads

SCRIPT = """
import json, os
import model
with open("settings.json") as file:
    json.load(file)
os.path.exists("checkpoint.pt")
os.listdir("data")
os.environ.get("EPOCHS")
with open("log.txt", "w") as file:
    file.write("started")
"""


class Project:
    """A training script with all that it may look at, dry-run once and remembered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.cache = folder.parent / "cache"
        (folder / "data").mkdir(parents=True)
        for name, text in (("train.py", SCRIPT), ("model.py", "x = 1\n"), ("settings.json", "{}"), ("used.yaml", "")):
            (folder / name).write_text(text, encoding="utf-8")
        self.question = Question(
            script=folder / "train.py",
            arguments=("--config=used.yaml",),
            folder=folder,
            interpreter=(sys.executable,),
            environment={**os.environ, "EPOCHS": "3"},
        )

    def answer(self) -> DryRun:
        """What the dry run said, as if it had met a training."""
        question = self.question
        found = dry_run(
            question.script,
            question.arguments,
            interpreter=question.interpreter,
            environment=question.environment,
            unconfined=True,
        )
        return replace(found, phases=({"epochs": 3, "input_shape": [3, 32]},))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """The project, with its folder as the working directory."""
    made = Project(tmp_path / "project")
    monkeypatch.chdir(made.folder)
    remember(made.cache, made.question, made.answer())
    return made


def test_what_was_found_is_found_again(project: Project) -> None:
    """All of it, within milliseconds, and for this user's eyes alone."""
    begun = time.perf_counter()
    found = remembered(project.cache, project.question)
    took_s = time.perf_counter() - begun

    assert found is not None
    assert ({"epochs": 3, "input_shape": [3, 32]},) == found.phases
    assert took_s < 0.05
    assert {0o600} == {file.stat().st_mode & 0o777 for file in project.cache.iterdir()}
    assert 0o700 == project.cache.stat().st_mode & 0o777


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: (folder / "train.py").write_text(SCRIPT + "\n", encoding="utf-8"),
        lambda folder: (folder / "model.py").write_text("x = 2\n", encoding="utf-8"),
        lambda folder: (folder / "settings.json").write_text("{ }", encoding="utf-8"),
        lambda folder: (folder / "settings.json").unlink(),
        lambda folder: (folder / "used.yaml").write_text("a: 1", encoding="utf-8"),
        lambda folder: (folder / "checkpoint.pt").touch(),
        lambda folder: (folder / "data" / "more.png").touch(),
    ],
    ids=["script", "module", "read", "gone", "argument", "looked for", "listed"],
)
def test_a_change_of_what_it_looked_at_is_a_new_question(project: Project, change: Callable[[Path], object]) -> None:
    """The script, a module of its own, a file it read, lacked or was given, a folder it listed."""
    change(project.folder)

    assert remembered(project.cache, project.question) is None


@pytest.mark.parametrize(
    "other",
    [
        {"arguments": ("--config=used.yaml", "--epochs=9")},
        {"interpreter": ("/usr/bin/python3",)},
        {"environment": {**os.environ, "EPOCHS": "4"}},
        {"environment": {**os.environ, "EPOCHS": "3", "KERAS_BACKEND": "torch"}},
    ],
    ids=["arguments", "interpreter", "variable it read", "variable of a framework"],
)
def test_another_call_is_a_new_question(project: Project, other: dict[str, object]) -> None:
    """Other arguments, another interpreter, another value of a variable that the script read."""
    assert remembered(project.cache, replace(project.question, **other)) is None  # type: ignore[arg-type]


def test_what_changes_nothing_keeps_the_answer(project: Project) -> None:
    """A fresh checkout of the same source, a job's output beside the script, another login."""
    for name in ("train.py", "model.py", "settings.json"):
        os.utime(project.folder / name, (1, 1))
    (project.folder / "slurm-42.out").touch()
    (project.folder / "log.txt").write_text("of the job", encoding="utf-8")
    question = replace(project.question, environment={**project.question.environment, "SSH_TTY": "/dev/pts/9"})

    assert remembered(project.cache, question) is not None


@pytest.mark.parametrize("spoil", ["broken", "of another version", "writable", "old"])
def test_an_entry_that_cannot_be_trusted_is_none(project: Project, spoil: str) -> None:
    """It is asked again as if nothing had been kept."""
    (file,) = project.cache.iterdir()
    if spoil == "broken":
        file.write_bytes(file.read_bytes()[:-9])
    elif spoil == "of another version":
        file.write_text(file.read_text(encoding="utf-8").replace('"version": 2', '"version": 0'), encoding="utf-8")
    elif spoil == "writable":
        file.chmod(0o666)
    now_s = time.time() + (40 * 86400.0 if spoil == "old" else 0.0)

    assert remembered(project.cache, project.question, now_s=now_s) is None


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_an_entry_of_somebody_else_is_none(project: Project) -> None:
    """Facts are believed, so nobody else may state them."""
    (file,) = project.cache.iterdir()
    os.chown(file, 12345, 12345)

    assert remembered(project.cache, project.question) is None


@pytest.mark.parametrize("ended", ["time", "interrupted", "it started more than 100 threads", "unconfined"])
def test_a_dry_run_cut_short_is_not_kept(project: Project, ended: str) -> None:
    """On a quieter machine it may get further."""
    question = replace(project.question, arguments=())
    remember(project.cache, question, DryRun(phases=({"epochs": 3},), notes=(), ended=ended, seconds=1.0))

    assert remembered(project.cache, question) is None


def test_the_folder_does_not_grow_for_ever(project: Project) -> None:
    """The oldest answers go."""
    found = DryRun(phases=({"epochs": 3},), notes=(), ended="end", seconds=1.0, reads=Reads())
    for number in range(210):
        remember(project.cache, replace(project.question, arguments=(str(number),)), found)

    assert 200 == len(list(project.cache.iterdir()))


def test_a_folder_that_cannot_be_written_costs_nothing_else(project: Project) -> None:
    """The cache is a convenience."""
    blocked = project.folder / "train.py" / "cache"
    remember(blocked, project.question, project.answer())

    assert remembered(blocked, project.question) is None


def test_it_is_run_once_unless_asked_afresh(project: Project) -> None:
    """And the user is told which it was."""
    said: list[str] = []
    for afresh in (False, True):
        dry_run_once(project.question, folder=project.cache, afresh=afresh, unconfined=True, tell=said.append)

    assert "has not changed since its dry run" in said[0]
    assert said[1].startswith("dry-running train.py")


def test_what_a_script_forges_is_left_out() -> None:
    """It can write among the dry run's own lines; nothing of that may cost time or stop a submission."""
    forged = {"paths": {"/a": "content", "b": "content", "/c": ["content"], "/d": "whatever"}, "variables": ["X", 1]}

    assert Reads({"/a": "content"}, ("X",)) == Reads.from_plain(forged)
    assert Reads() == Reads.from_plain({"paths": 1, "variables": "X"})
    assert 2000 == len(Reads.from_plain({"paths": {f"/{n}": "time" for n in range(9000)}}).paths)
