"""Hugging Face's Trainer: ``train`` becomes a plain loop over the trainer's own data and loss."""

import functools
import math
from typing import Any, Dict, Optional

import torch

from ...dry_run.session import DryRun
from ..torch.dry_run import Torch
from . import loop
from .loop import Metrics

_WITHOUT_EFFECT = ("save_model", "save_state", "log_metrics", "save_metrics", "push_to_hub", "create_model_card")


def attach(module: Any, session: DryRun) -> None:
    """``transformers.trainer``."""
    torch_part = session.part(Torch)
    if torch_part is None:
        return
    trainer = module.Trainer
    trainer.train = functools.partialmethod(_train, session, torch_part)
    trainer.evaluate = lambda self, *_args, **_kwargs: Metrics(eval_loss=0.5)
    for name in _WITHOUT_EFFECT:
        setattr(trainer, name, lambda self, *_args, **_kwargs: None)


def _train(self: Any, session: DryRun, torch_part: Torch, *_args: Any, **_kwargs: Any) -> Any:
    args = self.args
    loader = self.get_train_dataloader()
    if getattr(args, "gradient_checkpointing", False):
        self.model.gradient_checkpointing_enable(
            gradient_checkpointing_kwargs=getattr(args, "gradient_checkpointing_kwargs", None)
            or {"use_reentrant": False}
        )
    self.create_optimizer()
    optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
    epochs = math.ceil(args.num_train_epochs)
    precision = "bf16" if args.bf16 else "fp16" if args.fp16 else "32"
    evaluation = str(getattr(args, "eval_strategy", getattr(args, "evaluation_strategy", "no")))
    if self.eval_dataset is not None and not evaluation.lower().endswith("no"):
        torch_part.loaders.evaluated(self.get_eval_dataloader(), epochs + 1)
    session.report.look_for_early_stopping(self.callback_handler.callbacks)
    self.model.train()
    accumulation = int(args.gradient_accumulation_steps or 1)
    steps = _most_steps(args, loader, accumulation)

    def backward(batch: Any, _index: int) -> None:
        inputs = self._prepare_inputs(batch)
        with loop.autocast(precision):
            loss = self.compute_loss(self.model, inputs)
        torch.autograd.backward(loss)

    loop.train(session, loader, backward, [optimizer], epochs=None if steps else epochs, steps=steps,
               accumulation=lambda _epoch: accumulation)  # fmt: skip
    return _TrainOutput(Metrics(train_loss=0.5))


def _most_steps(args: Any, loader: Any, accumulation: int) -> Optional[int]:
    """The steps that were asked for, by their number or as a part of an epoch; None where epochs say it."""
    if args.max_steps and args.max_steps > 0:
        return int(args.max_steps)
    if float(args.num_train_epochs).is_integer() or not hasattr(loader, "__len__"):
        return None
    return math.ceil(float(args.num_train_epochs) * max(math.ceil(len(loader) / accumulation), 1))


class _TrainOutput(tuple):  # type: ignore[type-arg]
    """What ``Trainer.train`` returns, as far as scripts look at it."""

    __slots__ = ()

    def __new__(cls, metrics: Dict[str, float]) -> "_TrainOutput":
        return super().__new__(cls, (0, 0.5, metrics))

    global_step = property(lambda self: self[0])
    training_loss = property(lambda self: self[1])
    metrics = property(lambda self: self[2])
