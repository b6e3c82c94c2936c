"""TensorBoard's pictures of networks, which are traced: without values there is nothing to trace."""

from typing import Any

from ...dry_run.session import DryRun


def attach(module: Any, session: DryRun) -> None:
    """``torch.utils.tensorboard.writer``."""
    for name in ("add_graph", "add_embedding", "add_histogram"):
        setattr(module.SummaryWriter, name, lambda self, *_args, **_kwargs: None)
