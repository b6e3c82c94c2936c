"""TensorBoard's pictures of networks and histograms: they need values, which are not there, so they are left out."""

from typing import Any

from ...dry_run.session import DryRun


def attach(module: Any, session: DryRun) -> None:
    """``torch.utils.tensorboard.writer``."""
    for name in ("add_graph", "add_embedding", "add_histogram"):
        setattr(module.SummaryWriter, name, lambda self, *_args, **_kwargs: None)
