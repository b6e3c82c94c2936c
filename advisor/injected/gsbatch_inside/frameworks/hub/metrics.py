"""``evaluate``: metrics that are not on this machine answer with plausible scores."""

from typing import Any

from ...dry_run.missing import Metric
from ...dry_run.session import DryRun


def attach(module: Any, session: DryRun) -> None:
    """Load what is here. A file of the script's own may have the package's name."""
    original = getattr(module, "load", None)
    if original is None:
        return

    def load(*args: Any, **kwargs: Any) -> Any:
        try:
            return original(*args, **kwargs)
        except Exception:
            session.report.note("the metric %s is not on this machine; its scores are made up" % (args or ("",))[0])
            return Metric()

    module.load = load
    module.combine = lambda *_args, **_kwargs: Metric()
