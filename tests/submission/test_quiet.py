"""What --quiet leaves of sbatch's words."""

from __future__ import annotations

from advisor.submission.quiet import quiet_outputs
from advisor.submission.submit import Outputs


def test_errors_are_told_and_information_is_not() -> None:
    """Whole lines, however they come in; what is no line of sbatch's own (a site's plugin, getopt) is told too."""
    stdout, stderr = bytearray(), bytearray()
    quiet = quiet_outputs(Outputs(stdout.extend, stderr.extend))

    quiet.stdout(b"Submitted batch job 42\n")
    for part in (
        b"sbatch: lua: be kind\nsbatch: err", b"or: no\n", b"sbatch: unrecognized option '--x'\n", b"Try it\n"
    ):  # fmt: skip
        quiet.stderr(part)

    assert b"" == stdout
    assert b"sbatch: error: no\nsbatch: unrecognized option '--x'\nTry it\n" == stderr
