"""What a dry run has: its report, its account of the training, and the loops of the script."""

from typing import Any, Callable, Dict

from ..contract import Session
from .ledger import Ledger
from .loop_source import LoopSource
from .loops import Loops
from .report import Report
from .tally import Tally


class DryRun(Session):
    """One dry run. ``script`` is its path, ``gpus`` is how many GPUs it is shown."""

    def __init__(self, specification: Dict[str, Any], report: Report) -> None:
        super().__init__()
        self.script: str = specification["script"]
        self.gpus = int(specification.get("gpus") or 1)
        self.report = report
        self.tally = Tally()
        self.source = LoopSource()
        self.loops = Loops(self.tally, report)
        self.ledger = Ledger(self.tally, self.loops, report)

    def failed(self, function: Callable[..., Any], exc: Exception) -> None:
        """Tell the user. If a training is being counted, its length stays unknown."""
        name = "%s.%s" % (function.__module__.rpartition("gsbatch_inside.")[2], function.__qualname__)
        self.report.note("not understood in this dry run (%s): %s: %s" % (name, type(exc).__name__, str(exc)[:160]))
        self.ledger.doubt("a part of the training was not understood")
