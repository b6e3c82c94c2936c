"""The dry run as part of a submission: it is announced, can be left out, and never costs a job."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.inspection.confine import way_here
from tests.cli.gsbatch_calls import Gsbatch, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch

HOSTILE = Path(__file__).parents[1] / "inspection" / "confinement" / "hostile"
# No framework is imported when it runs, so that it takes no time; the source says that it trains.
TRAINS = "if False:\n    import torch\n"
SUBMITTED = ("Submitted batch job 42\n", 0)
confinable = pytest.mark.skipif(not way_here(), reason="this machine cannot confine a dry run")


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch with an sbatch that accepts everything."""
    sbatch = install_fake_sbatch(tmp_path / "bin")
    sbatch.answers()
    return make_gsbatch(tmp_path)


def _train(gsbatch: Gsbatch, source: str) -> None:
    (gsbatch.folder / "train.py").write_text(TRAINS + source, encoding="utf-8")


@confinable
@pytest.mark.parametrize("name", ["calls_sbatch", "forks", "makes_daemon", "unsafe_facts"])
def test_a_hostile_script_is_submitted_all_the_same(gsbatch: Gsbatch, name: str) -> None:
    """One line says what was run, another why nothing is known; stdout and exit status are sbatch's."""
    source = (HOSTILE / f"{name}.py").read_text(encoding="utf-8")
    _train(gsbatch, source if name != "forks" else source.replace("while True", "for _ in range(10**5)"))
    done = gsbatch("train.py")

    assert SUBMITTED == (done.stdout, done.returncode)
    assert 1 == len(gsbatch.sbatch.calls())
    assert 1 == done.stderr.count("dry-running train.py")
    assert 1 == done.stderr.count("nothing is known of what train.py trains")
    assert {"train.py", "job.sh", "cluster.toml"} == {path.name for path in gsbatch.folder.iterdir()}


@confinable
def test_interrupting_the_dry_run_submits_the_job(gsbatch: Gsbatch) -> None:
    """Ctrl-C on a terminal reaches gsbatch and not the dry run; the job goes with what is known."""
    _train(gsbatch, "while True:\n    pass\n")
    words = [sys.executable, "-c", "from advisor.cli.gsbatch import main; main()", "--set", "epochs=3", "train.py"]
    with subprocess.Popen(
        words, cwd=gsbatch.folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=gsbatch.variables
    ) as process:
        assert process.stderr is not None
        assert "dry-running train.py" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=30)

    assert SUBMITTED == (stdout, process.returncode)
    assert "the dry run was interrupted" in stderr


@confinable
def test_a_terminal_shows_what_is_waited_for_and_ctrl_c_submits(gsbatch: Gsbatch) -> None:
    """As a user sees it: one line that changes and goes away, and one key that is enough."""
    _train(gsbatch, "while True:\n    pass\n")
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(gsbatch.folder)
        command = [
            sys.executable,
            "-c",
            "from advisor.cli.gsbatch import main; main()",
            "--set",
            "epochs=3",
            "train.py",
        ]
        os.execve(sys.executable, command, dict(gsbatch.variables))  # noqa: S606 (no shell is meant)
    seen = b""
    while piece := _read(terminal):
        seen += piece
        if b"train.py:3 while True:" in seen and b"^C" not in seen:
            os.write(terminal, b"\x03")
    os.close(terminal)

    assert 0 == os.waitpid(child, 0)[1]
    assert b"Ctrl-C submits now" in seen
    assert seen.endswith(b"Submitted batch job 42\r\n")
    assert 1 == len(gsbatch.sbatch.calls())


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # nobody has it open any more
        return b""


def test_nothing_is_run_where_user_or_site_forbid_it(gsbatch: Gsbatch, tmp_path: Path) -> None:
    """A site's "never" is the last word, whatever a user writes."""
    _train(gsbatch, "")
    by_user = gsbatch("--no-probe", "train.py")
    (tmp_path / "site.toml").write_text('probe = "never"\n', encoding="utf-8")
    by_site = gsbatch("--probe", "train.py", GSBATCH_PROBE="on")

    for done in (by_user, by_site):
        assert SUBMITTED == (done.stdout, done.returncode)
        assert "dry-run" not in done.stderr


@confinable
def test_json_and_quiet_are_not_disturbed(gsbatch: Gsbatch) -> None:
    """The line about the dry run goes to stderr, and with --quiet nowhere."""
    _train(gsbatch, "")

    assert "" == gsbatch("--json", "train.py").stdout
    assert "dry-running" not in gsbatch("--quiet", "train.py").stderr


def test_a_wrong_word_for_probe_is_refused(gsbatch: Gsbatch) -> None:
    """As every mistake in an option of ours; no job is submitted by misunderstanding."""
    done = gsbatch("--probe=maybe", "train.py")

    assert 2 == done.returncode
    assert "--probe: must be one of" in done.stderr
    assert [] == gsbatch.sbatch.calls()
