"""A Python script's text inside its batch script: Slurm keeps a copy of what was submitted, and so do we."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from advisor.request.script import Script

# Larger texts are left out: the controller stores every batch script, and a site may limit their size.
_MOST_CHARACTERS = 256 * 1024
# Run by "python -c" with the batch script's path, the script's path and its arguments: what stands after the mark runs
# as "python PATH" would have run it, but for sys.flags and sys.orig_argv. Nothing is imported that Python has not
# imported already, except to show an error.
_LOADER = """\
def gsbatch_source():
    import os, sys
    del globals()["gsbatch_source"]
    script, path = sys.argv[1:3]
    with open(script, "rb") as file:
        source = file.read().partition(b"\\n#gsbatch-source\\n")[2]
    sys.argv[:3] = [path]
    if sys.path[:1] == [""]:
        sys.path[0] = os.path.dirname(os.path.realpath(path))
    globals().update(__file__=path, __cached__=None)
    def show(kind, error, trace):
        while trace is not None and trace.tb_frame.f_code.co_filename == "<string>":
            trace = trace.tb_next
        for stream in (sys.stdout, sys.stderr):
            if stream is not None:
                stream.flush()
        error = error.with_traceback(trace)
        try:
            import linecache, traceback
            lines = source.decode("utf-8", "replace").splitlines(True)
            linecache.cache[path] = len(source), None, lines, path
            traceback.print_exception(kind, error, trace)
        except Exception:
            sys.__excepthook__(kind, error, trace)
    sys.excepthook = show
    return compile(source, path, "exec", dont_inherit=True)
exec(gsbatch_source())"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmittedSource:
    """``python``, ``loader``, ``path`` and ``arguments`` make the command that runs ``source``."""

    python: tuple[str, ...]
    loader: str
    path: str
    arguments: tuple[str, ...]
    source: str


def submitted_source(script: Script, python: Sequence[str]) -> SubmittedSource | None:
    """The script's text for its batch script; None where that cannot hold it."""
    if len(script.text) > _MOST_CHARACTERS or "\r\n" in script.text:  # sbatch takes no DOS line ends
        return None
    return SubmittedSource(
        python=tuple(python), loader=_LOADER, path=str(script.path), arguments=script.arguments, source=script.text
    )
