"""Lightning and Hugging Face trainers: ``fit`` and ``train`` become a plain loop over the trainer's own data and step.

The loop is gone over by loops.py as a script's own is, so that the facts come from the same counts. Their callbacks,
checkpoints, loggers and evaluations are left out.
"""

import contextlib
from typing import Any, Callable, Dict, List, Optional, Sequence

import torch

from ...dry_run import loops, report
from ..torch import data as torch_data
from ..torch import training as torch_training

_EPOCHS, _BATCHES = -1, -2  # numbers of our two loops; a script's own are above zero

_WHOLE = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64": torch.float64, "64-true": torch.float64}


class _Metrics(dict):  # type: ignore[type-arg]
    """Whatever metric a script asks for after training."""

    def __missing__(self, name: str) -> float:
        return 0.5

    def get(self, name: str, default: Any = None) -> Any:
        return self[name]


class _Nothing:
    """Whatever else a script asks a trainer for."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Nothing()

    def __call__(self, *_args: Any, **_kwargs: Any) -> Any:
        return None

    def __bool__(self) -> bool:
        return False

    def __fspath__(self) -> str:
        return "nothing.ckpt"


def _train(
    loader: Any,
    backward: Callable[[Any, int], None],
    optimizers: Sequence[Any],
    *,
    epochs: Optional[int],
    steps: Optional[int],
    accumulation: int,
    batches: Optional[int] = None,
) -> None:
    """One training: ``backward`` works on a batch; without ``optimizers`` it steps itself."""
    done = 0
    for _epoch in loops.each(_EPOCHS, range(epochs if epochs is not None else 1 << 40), "epoch"):
        loops.mark(_EPOCHS, ())
        length = len(loader) if hasattr(loader, "__len__") else None
        for index, batch in loops.each(_BATCHES, enumerate(loader), "batch"):
            (done,) = loops.mark(_BATCHES, (done,))
            backward(batch, index)
            if (index + 1) % accumulation == 0 or index + 1 == length:
                for optimizer in optimizers:
                    optimizer.step()
                done += 1
            if steps and loops.compare(_BATCHES, _BATCHES, ">=", True, done, steps):
                return
            if batches and loops.compare(_BATCHES, _EPOCHS, ">=", True, index + 1, batches):
                break


def _evaluated(loader: Any, epochs: int) -> None:
    for one in loader if isinstance(loader, (list, tuple)) else [loader]:
        if isinstance(one, torch.utils.data.DataLoader):
            torch_data.known(one).passes += epochs + 1


def _autocast(precision: str) -> Any:
    kinds = {"16-mixed": torch.float16, "16": torch.float16, "fp16": torch.float16, "bf16-mixed": torch.bfloat16,
             "bf16": torch.bfloat16}  # fmt: skip
    return torch.autocast("cuda", dtype=kinds[precision]) if precision in kinds else contextlib.nullcontext()


def attach_lightning(module: Any) -> None:
    """``lightning.pytorch`` or ``pytorch_lightning``."""
    trainer, network = module.Trainer, module.LightningModule

    def __init__(self: Any, **kwargs: Any) -> None:
        vars(self)["_gsbatch"] = kwargs

    def __getattr__(self: Any, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Metrics() if name.endswith("_metrics") else _Nothing()

    trainer.__init__ = __init__
    trainer.__getattr__ = __getattr__
    trainer.fit = _lightning_fit
    for name in ("validate", "test", "predict"):
        setattr(trainer, name, lambda self, *_args, **_kwargs: [_Metrics()])
    for name in ("callback_metrics", "logged_metrics", "progress_bar_metrics"):
        setattr(trainer, name, _Metrics())
    trainer.save_checkpoint = lambda self, *_args, **_kwargs: None
    for name in ("log", "log_dict", "toggle_optimizer", "untoggle_optimizer", "clip_gradients"):
        setattr(network, name, lambda self, *_args, **_kwargs: None)
    network.manual_backward = lambda self, loss, *args, **kwargs: torch.autograd.backward(loss)
    network.optimizers = lambda self, *_args, **_kwargs: _one_or_all(vars(self)["_gsbatch_optimizers"])
    network.lr_schedulers = lambda self: _Nothing()
    network.trainer = property(lambda self: vars(self).get("_gsbatch_trainer", _Nothing()), lambda self, value: None)
    network.current_epoch = network.global_step = property(lambda self: 0)
    network.load_from_checkpoint = classmethod(lambda cls, *_args, **_kwargs: _Nothing())


def _one_or_all(optimizers: List[Any]) -> Any:
    return optimizers[0] if len(optimizers) == 1 else optimizers


def _lightning_fit(
    self: Any, model: Any, train_dataloaders: Any = None, val_dataloaders: Any = None, datamodule: Any = None,
    **_kwargs: Any,
) -> None:  # fmt: skip
    given: Dict[str, Any] = vars(self)["_gsbatch"]
    if hasattr(train_dataloaders, "train_dataloader"):
        train_dataloaders, datamodule = None, train_dataloaders
    vars(model)["_gsbatch_trainer"] = self
    for part in (datamodule, model):
        if part is not None:
            part.prepare_data()
            part.setup("fit")
    owner = datamodule if datamodule is not None else model
    loader = train_dataloaders if train_dataloaders is not None else owner.train_dataloader()
    optimizers = _optimizers(model.configure_optimizers())
    vars(model)["_gsbatch_optimizers"] = optimizers
    precision = str(given.get("precision") or "32")
    devices = given.get("devices", "auto")
    devices = len(devices) if isinstance(devices, (list, tuple)) else devices
    strategy = given.get("strategy")
    torch_training.setting(
        devices=int(devices) * int(given.get("num_nodes") or 1) if str(devices).isdigit() else None,
        strategy=strategy if isinstance(strategy, str) and strategy != "auto" else None,
    )
    if precision in _WHOLE:
        model.to(dtype=_WHOLE[precision])
    if any("EarlyStopping" in type(callback).__name__ for callback in given.get("callbacks") or []):
        report.note("the training may stop early; epochs is the most it will do")
    steps, epochs = given.get("max_steps", -1), given.get("max_epochs")
    epochs = 1000 if epochs is None and steps in (-1, None) else epochs  # Lightning's own default
    _evaluate_lightning(owner, val_dataloaders, epochs or 1)
    limit = given.get("limit_train_batches") or 0
    limit = int(limit * len(loader)) if isinstance(limit, float) and limit <= 1 else int(limit)
    manual = not getattr(model, "automatic_optimization", True)

    def backward(batch: Any, index: int) -> None:
        with _autocast(precision):
            found = model.training_step(batch, index)
        loss = found.get("loss") if isinstance(found, dict) else found
        if loss is not None and not manual:
            torch.autograd.backward(loss)

    model.train()
    model.on_fit_start()
    model.on_train_start()
    _train(loader, backward, [] if manual else optimizers, epochs=None if epochs in (None, -1) else int(epochs),
           steps=None if steps in (-1, None) else int(steps), batches=limit or None,
           accumulation=int(given.get("accumulate_grad_batches") or 1))  # fmt: skip


def _evaluate_lightning(owner: Any, loaders: Any, epochs: int) -> None:
    try:
        loaders = loaders if loaders is not None else owner.val_dataloader()
    except Exception:
        return  # Lightning raises where the author gave none
    _evaluated(loaders, epochs)


def _optimizers(configured: Any) -> List[Any]:
    """What ``configure_optimizers`` may return: an optimizer, several, with schedulers, or a dict."""
    if isinstance(configured, torch.optim.Optimizer):
        return [configured]
    if isinstance(configured, dict):
        return [configured["optimizer"]]
    if isinstance(configured, (list, tuple)):
        first = configured[0] if configured and isinstance(configured[0], (list, tuple)) else configured
        return [one for item in first for one in _optimizers(item)]
    return []


def attach_transformers(module: Any) -> None:
    """``transformers.trainer``."""
    trainer = module.Trainer
    trainer.train = _transformers_train
    trainer.evaluate = lambda self, *_args, **_kwargs: _Metrics(eval_loss=0.5)
    for name in ("save_model", "save_state", "log_metrics", "save_metrics", "push_to_hub", "create_model_card"):
        setattr(trainer, name, lambda self, *_args, **_kwargs: None)


def _transformers_train(self: Any, *_args: Any, **_kwargs: Any) -> Any:
    args = self.args
    loader = self.get_train_dataloader()
    self.create_optimizer()
    optimizer = getattr(self.optimizer, "optimizer", self.optimizer)
    epochs = int(-(-args.num_train_epochs // 1))
    steps = int(args.max_steps) if args.max_steps and args.max_steps > 0 else None
    precision = "bf16" if args.bf16 else "fp16" if args.fp16 else "32"
    evaluation = str(getattr(args, "eval_strategy", getattr(args, "evaluation_strategy", "no")))
    if self.eval_dataset is not None and not evaluation.lower().endswith("no"):
        _evaluated(self.get_eval_dataloader(), epochs)
    if any("EarlyStopping" in type(callback).__name__ for callback in self.callback_handler.callbacks):
        report.note("the training may stop early; epochs is the most it will do")
    self.model.train()

    def backward(batch: Any, _index: int) -> None:
        inputs = self._prepare_inputs(batch)
        with _autocast(precision):
            loss = self.compute_loss(self.model, inputs)
        torch.autograd.backward(loss)

    _train(loader, backward, [optimizer], epochs=None if steps else epochs, steps=steps,
           accumulation=int(args.gradient_accumulation_steps or 1))  # fmt: skip
    return _TrainOutput(_Metrics(train_loss=0.5))


class _TrainOutput(tuple):  # type: ignore[type-arg]
    """What ``Trainer.train`` returns, as far as scripts look at it."""

    __slots__ = ()

    def __new__(cls, metrics: Dict[str, float]) -> "_TrainOutput":
        return super().__new__(cls, (0, 0.5, metrics))

    global_step = property(lambda self: self[0])
    training_loss = property(lambda self: self[1])
    metrics = property(lambda self: self[2])
