"""gsbatch under the name sbatch: the real sbatch is found past it, and a site's own wrappers are called."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from advisor.errors import SlurmNotFound
from advisor.submission.real_sbatch import GUARD, call_of_wrapper, sbatch_call
from tests.cli.gsbatch_calls import ROOT
from tests.fakes.fake_sbatch import FakeSbatch, install_fake_sbatch

# What pip writes as the program gsbatch.
PROGRAM = """\
#!{python}
import sys
from advisor.cli.gsbatch import main
if __name__ == "__main__":
    sys.exit(main())
"""


@pytest.fixture
def slurms(tmp_path: Path) -> FakeSbatch:
    """Slurm's own sbatch, in a folder that stands last on PATH."""
    fake = install_fake_sbatch(tmp_path / "slurm")
    fake.answers()
    return fake


@pytest.fixture
def gsbatch(tmp_path: Path) -> Path:
    """An installed gsbatch."""
    path = tmp_path / "opt" / "gsbatch"
    path.parent.mkdir()
    path.write_text(PROGRAM.format(python=sys.executable), encoding="utf-8")
    path.chmod(0o755)
    return path


def _link(gsbatch: Path, name: Path) -> None:
    name.symlink_to(gsbatch)


def _hard_link(gsbatch: Path, name: Path) -> None:
    name.hardlink_to(gsbatch)


def _copy(gsbatch: Path, name: Path) -> None:
    shutil.copy2(gsbatch, name)


def _run(*words: str, path: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "HOME": str(folder), "PYTHONPATH": str(ROOT), "GSBATCH_INVENTORY": "/none"}
    return subprocess.run(
        words, env=environment | variables, cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("install", [_link, _hard_link, _copy])
def test_gsbatch_on_path_as_sbatch_calls_the_next_one(
    tmp_path: Path, slurms: FakeSbatch, gsbatch: Path, install: Callable[[Path, Path], None]
) -> None:
    """This is how sites install it; it called itself, 46 times in 20 s."""
    first = tmp_path / "first"
    first.mkdir()
    install(gsbatch, first / "sbatch")

    done = _run("sbatch", "--wrap", "hostname", path=f"{first}:{slurms.folder}:/usr/bin:/bin", folder=tmp_path)

    assert ("Submitted batch job 42\n", 0) == (done.stdout, done.returncode), done.stderr
    assert 1 == len(slurms.calls())


def test_a_wrapper_of_the_sites_that_finds_gsbatch_again_reaches_slurm(
    tmp_path: Path, slurms: FakeSbatch, gsbatch: Path
) -> None:
    """The wrapper that gsbatch calls finds gsbatch as sbatch: now the next one is called, once."""
    folders = [tmp_path / name for name in ("wrapper", "ours")]
    for folder in folders:
        folder.mkdir()
    _link(gsbatch, folders[1] / "sbatch")
    wrapper = folders[0] / "sbatch"
    wrapper.write_text('#!/bin/sh\nexport WRAPPED=1\nexec sbatch "$@"\n', encoding="utf-8")
    wrapper.chmod(0o755)
    # The wrapper stands behind gsbatch for gsbatch, and finds gsbatch first.
    path = f"{folders[1]}:{folders[0]}:{slurms.folder}:/usr/bin:/bin"

    done = _run("sbatch", "-n3", "--wrap", "hostname", path=path, folder=tmp_path)

    (call,) = slurms.calls()
    assert ("Submitted batch job 42\n", 0) == (done.stdout, done.returncode), done.stderr
    assert "1" == call.environment["WRAPPED"]
    assert "-n3" in call.words


def test_the_sbatch_that_a_site_names_is_called(tmp_path: Path, slurms: FakeSbatch, gsbatch: Path) -> None:
    """By the setting, wherever it lies; messages still begin with sbatch's name."""
    named = install_fake_sbatch(tmp_path / "named")
    named.answers("Submitted batch job 7\n")
    renamed = named.folder / "sbatch.real"
    (named.folder / "sbatch").rename(renamed)
    path = f"{slurms.folder}:/usr/bin:/bin"

    done = _run(str(gsbatch), "--wrap", "hostname", path=path, folder=tmp_path, GSBATCH_SBATCH=str(renamed))

    assert "Submitted batch job 7\n" == done.stdout
    assert [] == slurms.calls()


def test_without_another_sbatch_there_is_none(tmp_path: Path, gsbatch: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where gsbatch alone has that name there is no Slurm."""
    monkeypatch.setattr(sys, "argv", [str(gsbatch)])
    _link(gsbatch, gsbatch.parent / "sbatch")

    with pytest.raises(SlurmNotFound):
        sbatch_call({"PATH": str(gsbatch.parent)})


def test_a_guard_that_a_job_inherited_means_nothing(tmp_path: Path, slurms: FakeSbatch, gsbatch: Path) -> None:
    """Only a gsbatch that still waits for this very process has called it."""
    (tmp_path / "gsbatch").mkdir()
    gsbatch.rename(tmp_path / "gsbatch" / "sbatch")
    environment = {"PATH": f"{tmp_path}/gsbatch:{slurms.folder}"}
    called = sbatch_call(environment).environment[GUARD]

    assert call_of_wrapper(environment) is None
    assert call_of_wrapper({**environment, GUARD: f"{os.getpid()}-1 /x"}) is None
    assert call_of_wrapper({**environment, GUARD: called.replace(str(slurms.folder), "/else")}) is not None


def test_no_guard_where_gsbatch_has_its_own_name(slurms: FakeSbatch) -> None:
    """A wrapper cannot find it under the name sbatch, and the job inherits nothing of ours."""
    assert {"PATH": str(slurms.folder)} == sbatch_call({"PATH": str(slurms.folder)}).environment


def test_slurms_own_program_inherits_nothing_of_ours(tmp_path: Path) -> None:
    """The guard is for wrappers; through a program of Slurm's it would reach the job."""
    program = tmp_path / "sbatch"
    program.write_bytes(b"\x7fELF..libslurmfull.so..")
    program.chmod(0o755)

    assert {"PATH": str(tmp_path)} == sbatch_call({"PATH": str(tmp_path), GUARD: "1-1 /x"}).environment
