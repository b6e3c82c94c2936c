"""``timm``: pretrained weights are not loaded, since their values do not matter."""

from typing import Any

from ...dry_run.session import DryRun


def attach(module: Any, session: DryRun) -> None:
    """``timm.models._builder``."""
    module.load_pretrained = lambda *_args, **_kwargs: None
    module.load_custom_pretrained = lambda *_args, **_kwargs: None
