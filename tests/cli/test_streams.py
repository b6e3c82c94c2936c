"""Whatever the standard streams are, a job is submitted and a status is told."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from advisor.submission.ticket import find_ticket
from tests.cli.gsbatch_calls import FACTS, Gsbatch, make_gsbatch
from tests.fakes.fake_sbatch import install_fake_sbatch


@pytest.fixture
def gsbatch(tmp_path: Path) -> Gsbatch:
    """A gsbatch with an sbatch that accepts everything."""
    install_fake_sbatch(tmp_path / "bin").answers("42;demo\n")
    return make_gsbatch(tmp_path)


def _run(
    gsbatch: Gsbatch, words: tuple[str, ...], streams: str, **variables: str
) -> subprocess.CompletedProcess[bytes]:
    """Run it in a shell that closes or redirects its streams."""
    command = [sys.executable, "-c", "from advisor.cli.gsbatch import main; main()", *words]
    return subprocess.run(
        ["sh", "-c", f"{shlex.join(command)} {streams}"],
        cwd=gsbatch.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
        env={**gsbatch.variables, **variables},
    )


@pytest.mark.parametrize("streams", [">&-", ">/dev/full", "2>&-", "2>/dev/full", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_takes_nothing_costs_neither_job_nor_ticket(gsbatch: Gsbatch, streams: str) -> None:
    """Closed, or on a full disk: as with sbatch, only the words are lost."""
    done = _run(gsbatch, ("--parsable", *FACTS, "train.py"), streams)

    assert 0 == done.returncode, done.stderr
    assert b"Traceback" not in done.stderr
    assert 1 == len(gsbatch.sbatch.calls())
    assert find_ticket(gsbatch.spool, "demo", "42") is not None


@pytest.mark.parametrize("words", [("--json", *FACTS, "train.py"), ("--print-script", *FACTS, "train.py")])
def test_an_output_that_was_asked_for_and_is_lost_is_an_error(gsbatch: Gsbatch, words: tuple[str, ...]) -> None:
    """A script that reads the JSON must know that it is not whole."""
    done = _run(gsbatch, words, ">/dev/full")

    assert 1 == done.returncode
    assert done.stderr.endswith(b"gsbatch: the output cannot be written: No space left on device\n")


def test_a_printed_script_has_the_scripts_own_bytes(gsbatch: Gsbatch) -> None:
    """In a locale that cannot spell it too."""
    text = "#!/bin/bash\necho caf\u00e9\n".encode()
    (gsbatch.folder / "job.sh").write_bytes(text)

    done = _run(gsbatch, ("--print-script", *FACTS, "job.sh"), "", PYTHONIOENCODING="ascii")

    assert done.stdout.endswith(b"echo caf\xc3\xa9\n"), os.fsdecode(done.stderr)
