"""Lightning's loggers become stand-ins that write nothing; some need packages that may not be installed."""

from typing import Any

from ...dry_run.missing import Anything
from ...dry_run.session import DryRun


def attach(module: Any, session: DryRun) -> None:
    """``lightning.pytorch.loggers`` or ``pytorch_lightning.loggers``."""
    for name in getattr(module, "__all__", ()):
        if name.endswith("Logger") and name != "Logger":
            setattr(module, name, Anything)
