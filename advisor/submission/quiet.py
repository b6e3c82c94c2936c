"""sbatch's ``--quiet`` as it looks from outside, around an sbatch that says the job id, which a ticket needs."""

from __future__ import annotations

import re
from dataclasses import replace

from advisor.submission.submit import Outputs

# Lines of sbatch's own that --quiet silences: not errors, nor what getopt says of a wrong option.
_INFORMATION = re.compile(rb"sbatch: (?!error:|fatal:|(?:unrecognized|invalid|ambiguous) option|option )")


def quiet_outputs(outputs: Outputs) -> Outputs:
    """Hand on what sbatch would have said with ``--quiet``: nothing on stdout, and on stderr no information.

    Lines of stderr are handed on when they are whole; sbatch ends each one.
    """
    begun = bytearray()

    def on_stderr(data: bytes) -> None:
        begun.extend(data)
        whole, newline, rest = bytes(begun).rpartition(b"\n")
        begun[:] = rest
        lines = (whole + newline).splitlines(keepends=True)
        outputs.stderr(b"".join(line for line in lines if not _INFORMATION.match(line)))

    return replace(outputs, stdout=lambda _data: None, stderr=on_stderr)
