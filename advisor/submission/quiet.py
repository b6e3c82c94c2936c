"""sbatch's ``--quiet`` as it looks from outside, around an sbatch that says the job id, which a ticket needs."""

from __future__ import annotations

from advisor.submission.submit import Outputs

_INFORMATION = b"sbatch: "
_NOT_INFORMATION = (b"sbatch: error:", b"sbatch: fatal:")


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
        told = [line for line in lines if line.startswith(_NOT_INFORMATION) or not line.startswith(_INFORMATION)]
        if told:
            outputs.stderr(b"".join(told))

    return Outputs(stdout=lambda _data: None, stderr=on_stderr)
