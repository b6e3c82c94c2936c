"""A plain loop over a trainer's own data and step, in place of the trainer's loop.

It is run and counted like a loop of the script's own, so its facts come from the same account. Callbacks, checkpoints,
loggers and evaluations are left out.
"""

import contextlib
from typing import Any, Callable, Dict, Optional, Sequence

import torch

from ...dry_run.session import DryRun

_EPOCHS, _BATCHES = -1, -2  # numbers of our two loops; a script's own are above zero
_FOR_EVER = 1 << 40


class Metrics(Dict[str, float]):
    """Whatever metric a script asks for after training."""

    def __missing__(self, name: str) -> float:
        return 0.5

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


def train(
    session: DryRun,
    loader: Any,
    backward: Callable[[Any, int], None],
    optimizers: Sequence[Any],
    *,
    epochs: Optional[int],
    steps: Optional[int],
    accumulation: Callable[[int], int],
    batches: Optional[int] = None,
    begin_epoch: Callable[[int], None] = lambda _epoch: None,
) -> None:
    """One training.

    Args:
        session: whose loops count it.
        loader: of its batches.
        backward: works on a batch, given with its place in the epoch; without ``optimizers`` it steps itself.
        optimizers: step when the gradients of enough batches are gathered.
        epochs: None for no end.
        steps: the most in all; None for no end.
        accumulation: batches of a step, by the epoch.
        batches: the most of an epoch; None for all.
        begin_epoch: is called with each epoch's number.
    """
    loops, done = session.loops, 0
    length = min(len(loader) if hasattr(loader, "__len__") else _FOR_EVER, batches or _FOR_EVER)
    for epoch in loops.each(_EPOCHS, range(epochs if epochs is not None else _FOR_EVER), "epoch"):
        loops.mark(_EPOCHS)
        begin_epoch(epoch)
        gathered = accumulation(epoch)
        for index, batch in loops.each(_BATCHES, enumerate(loader), "batch"):
            loops.mark(_BATCHES)
            done = loops.moved(_BATCHES, "done", done)
            backward(batch, index)
            if (index + 1) % gathered == 0 or index + 1 == length:
                for optimizer in optimizers:
                    optimizer.step()
                done += 1
            if steps and loops.compare(_BATCHES, _BATCHES, ">=", True, done, steps):
                return
            if batches and loops.compare(_BATCHES, _EPOCHS, ">=", True, index + 1, batches):
                break


def autocast(precision: str) -> Any:
    """The context that a trainer computes in."""
    kinds = {"16-mixed": torch.float16, "16": torch.float16, "fp16": torch.float16, "bf16-mixed": torch.bfloat16,
             "bf16": torch.bfloat16}  # fmt: skip
    return torch.autocast("cuda", dtype=kinds[precision]) if precision in kinds else contextlib.nullcontext()
