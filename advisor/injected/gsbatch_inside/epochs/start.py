"""Start to mark epochs in a process of a recorded job."""

import os

from ..contract import adapters
from .sender import MarkSender
from .session import Recorded

_RANKS = ("RANK", "SLURM_PROCID", "OMPI_COMM_WORLD_RANK", "PMI_RANK")


def start(path: str) -> None:
    """Wait for the frameworks whose epochs can be seen. Only the first process of a distributed training marks them."""
    if any(os.environ.get(name, "0") not in ("", "0") for name in _RANKS):
        return
    session = Recorded(MarkSender(path, asks=bool(os.environ.get("GSBATCH_STOPS"))))
    for adapter in adapters("epochs"):
        adapter.wait(session)
