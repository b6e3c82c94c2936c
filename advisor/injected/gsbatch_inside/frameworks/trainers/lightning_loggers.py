"""Lightning's loggers, which write nothing; those of packages that are not installed could not even be made."""

from typing import Any

from ...dry_run.missing import Anything
from ...dry_run.session import DryRun


def attach(module: Any, session: DryRun) -> None:
    """``lightning.pytorch.loggers`` or ``pytorch_lightning.loggers``."""
    for name in getattr(module, "__all__", ()):
        if name.endswith("Logger") and name != "Logger":
            setattr(module, name, Anything)
