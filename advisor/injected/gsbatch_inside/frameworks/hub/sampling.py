"""Pipelines of ``diffusers``, with which a training looks at its samples: a thousand passes each time, none trained.

A few of them give images of the same size, and leave the dry run time for the training.
"""

import contextlib
import functools
import inspect
from typing import Any, Callable

from ...dry_run.session import DryRun
from ..torch.dry_run import Torch

_STEPS = "num_inference_steps"
_FEW = 2


def attach(module: Any, session: DryRun) -> None:
    """``diffusers.pipelines.pipeline_utils``, whose pipelines are all imported after it."""
    base = module.DiffusionPipeline
    torch_part = session.part(Torch)
    unseen = contextlib.nullcontext if torch_part is None else torch_part.networks.inside

    def __init_subclass__(cls: Any, **kwargs: Any) -> None:
        super(base, cls).__init_subclass__(**kwargs)
        if "__call__" in vars(cls):
            cls.__call__ = _in_few_steps(vars(cls)["__call__"], unseen)

    base.__init_subclass__ = classmethod(__init_subclass__)  # type: ignore[arg-type]


def _in_few_steps(original: Callable[..., Any], unseen: Callable[[], Any]) -> Callable[..., Any]:
    signature = inspect.signature(original)

    @functools.wraps(original)
    def __call__(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        if isinstance(given.arguments.get(_STEPS), int):
            given.arguments[_STEPS] = min(given.arguments[_STEPS], _FEW)
        with unseen():
            return original(*given.args, **given.kwargs)

    return __call__
