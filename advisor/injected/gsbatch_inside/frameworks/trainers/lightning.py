"""Lightning: ``Trainer.fit`` becomes a plain loop over the module's own data and training step."""

import functools
import inspect
from typing import Any, Dict, Iterator, List, Optional

import torch
from torch.utils import _pytree

from ...dry_run.session import DryRun
from ..torch.dry_run import Torch
from . import loop
from .loop import Metrics

_WHOLE = {"16-true": torch.float16, "bf16-true": torch.bfloat16, "64": torch.float64, "64-true": torch.float64}
_METRICS = ("callback_metrics", "logged_metrics", "progress_bar_metrics")
_WITHOUT_EFFECT = ("log", "log_dict", "toggle_optimizer", "untoggle_optimizer", "clip_gradients")
_EPOCHS_BY_DEFAULT = 1000


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


class _Fit:
    """What a trainer was made with, and what a module may ask it about the training."""

    def __init__(self, given: Dict[str, Any]) -> None:
        self.given = given
        self.batches = 1
        self.epoch = 0
        self.optimizers: List[Any] = []
        self.module: Any = None
        self.loader: Any = None
        self.datamodule: Any = None

    @property
    def steps(self) -> Optional[int]:
        """The most steps that were asked for; None for no end."""
        steps = 1 if self.given.get("fast_dev_run") else self.given.get("max_steps", -1)
        return None if steps in (-1, None) else int(steps)

    @property
    def epochs(self) -> Optional[int]:
        """The epochs that were asked for; None for no end."""
        epochs = self.given.get("max_epochs")
        if epochs is None:
            return _EPOCHS_BY_DEFAULT if self.steps is None else None
        return None if epochs == -1 else int(epochs)

    def accumulation(self, epoch: int) -> int:
        """Batches of a step, which a callback may change from one epoch to the next."""
        for callback in self.callbacks:
            schedule = getattr(callback, "scheduling", None)
            if isinstance(schedule, dict) and "Accumulation" in type(callback).__name__:
                return int(schedule[max((begin for begin in schedule if begin <= epoch), default=0)] if schedule else 1)
        return int(self.given.get("accumulate_grad_batches") or 1)

    @property
    def callbacks(self) -> List[Any]:
        """Those that were given."""
        callbacks = self.given.get("callbacks") or []
        return list(callbacks) if isinstance(callbacks, (list, tuple)) else [callbacks]

    @property
    def finetuning(self) -> List[Any]:
        """Callbacks that freeze parts of the module and set them free later."""
        return [one for one in self.callbacks if hasattr(one, "freeze_before_training")]

    def answers(self) -> Dict[str, Any]:
        """What a module asks its trainer for."""
        per_epoch = max(self.batches // self.accumulation(0), 1)
        return {
            "max_epochs": self.epochs if self.epochs is not None else -1,
            "max_steps": self.steps or -1,
            "num_training_batches": self.batches,
            "estimated_stepping_batches": self.steps or per_epoch * (self.epochs or 1),
            "current_epoch": self.epoch,
            "optimizers": self.optimizers,
            "lightning_module": self.module,
            "model": self.module,
            "train_dataloader": self.loader,
            "datamodule": self.datamodule,
            "callbacks": self.callbacks,
            "accumulate_grad_batches": self.accumulation(0),
            "precision": self.given.get("precision") or "32-true",
            "default_root_dir": str(self.given.get("default_root_dir") or "."),
            **_OF_ONE_PROCESS,
        }


_OF_ONE_PROCESS = {
    "world_size": 1, "num_devices": 1, "num_nodes": 1, "global_rank": 0, "local_rank": 0, "node_rank": 0,
    "global_step": 0, "is_global_zero": True, "training": True, "sanity_checking": False, "is_last_batch": False,
    "enable_validation": False, "should_stop": False,
}  # fmt: skip


class _Fitting:
    """``Trainer.fit`` as a plain loop."""

    def __init__(self, session: DryRun, torch_part: Torch) -> None:
        self._session = session
        self._loaders = torch_part.loaders

    def run(self, trainer: Any, given: Dict[str, Any]) -> None:
        """Train what ``fit`` was given, by the names of its arguments."""
        fit: _Fit = vars(trainer)["_gsbatch_fit"]
        model = given["model"]
        loaders, datamodule = given.get("train_dataloaders"), given.get("datamodule")
        if hasattr(loaders, "train_dataloader"):
            loaders, datamodule = None, loaders
        fit.module, fit.datamodule = model, datamodule
        vars(model)["_gsbatch_trainer"] = trainer
        for part in (datamodule, model):
            if part is not None:
                part.trainer = trainer
                part.prepare_data()
                part.setup("fit")
        owner = datamodule if datamodule is not None else model
        fit.loader = _side_by_side(loaders if loaders is not None else owner.train_dataloader())
        fit.batches = _batches_of(fit, fit.loader)
        self._configure(fit, model)
        self._session.report.look_for_early_stopping(fit.callbacks)
        self._evaluate(owner, given.get("val_dataloaders"), fit.epochs or 1)
        self._train(fit, model)

    def _configure(self, fit: _Fit, model: Any) -> None:
        if hasattr(model, "configure_model"):
            model.configure_model()
        for callback in fit.finetuning:
            callback.freeze_before_training(model)
        fit.optimizers = _optimizers(model.configure_optimizers())
        precision = str(fit.given.get("precision") or "32")
        if precision in _WHOLE:
            model.to(dtype=_WHOLE[precision])
        devices = fit.given.get("devices", "auto")
        devices = len(devices) if isinstance(devices, (list, tuple)) else devices
        strategy = fit.given.get("strategy")
        self._session.ledger.setting(
            devices=int(devices) * int(fit.given.get("num_nodes") or 1) if str(devices).isdigit() else None,
            strategy=strategy if isinstance(strategy, str) and strategy != "auto" else None,
        )

    def _evaluate(self, owner: Any, loaders: Any, epochs: int) -> None:
        try:
            loaders = loaders if loaders is not None else owner.val_dataloader()
        except Exception:
            return  # Lightning raises where the author gave none
        for one in loaders if isinstance(loaders, (list, tuple)) else [loaders]:
            self._loaders.evaluated(one, epochs + 1)

    def _train(self, fit: _Fit, model: Any) -> None:
        manual = not getattr(model, "automatic_optimization", True)
        wants_index = _wants_index(model.training_step)
        precision = str(fit.given.get("precision") or "32")

        def backward(batch: Any, index: int) -> None:
            with loop.autocast(precision):
                found = model.training_step(batch, index) if wants_index else model.training_step(batch)
            loss = found.get("loss") if isinstance(found, dict) else found
            if loss is not None and not manual:
                torch.autograd.backward(loss)

        def begin_epoch(epoch: int) -> None:
            fit.epoch = epoch
            for callback in fit.finetuning:
                for optimizer in fit.optimizers:
                    callback.finetune_function(model, epoch, optimizer)

        model.train()
        model.on_fit_start()
        model.on_train_start()
        limited = bool(fit.given.get("limit_train_batches") or fit.given.get("overfit_batches"))
        loop.train(
            self._session, fit.loader, backward, [] if manual else fit.optimizers, epochs=fit.epochs, steps=fit.steps,
            batches=fit.batches if limited else None, accumulation=fit.accumulation, begin_epoch=begin_epoch,
        )  # fmt: skip


def attach(module: Any, session: DryRun) -> None:
    """``lightning.pytorch`` or ``pytorch_lightning``."""
    torch_part = session.part(Torch)
    if torch_part is None:
        return
    _replace_trainer(module.Trainer, _Fitting(session, torch_part))
    network = module.LightningModule
    for name in _WITHOUT_EFFECT:
        setattr(network, name, lambda self, *_args, **_kwargs: None)
    network.manual_backward = lambda self, loss, *args, **kwargs: torch.autograd.backward(loss)
    network.optimizers = lambda self, *_args, **_kwargs: _one_or_all(_fit_of(self).optimizers)
    network.lr_schedulers = lambda self: _Nothing()
    no_trainer = _Nothing()
    network.trainer = property(lambda self: vars(self).get("_gsbatch_trainer", no_trainer), lambda self, value: None)
    network.current_epoch = property(lambda self: _fit_of(self).epoch)
    network.global_step = property(lambda self: 0)
    network.load_from_checkpoint = classmethod(lambda cls, *_args, **_kwargs: _Nothing())


def _replace_trainer(trainer: Any, fitting: _Fitting) -> None:
    original, original_fit = trainer.__init__, trainer.fit
    signature, bind_fit = inspect.signature(original), inspect.signature(original_fit).bind

    @functools.wraps(original)  # LightningCLI reads what a trainer may be given
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        given = dict(signature.bind(self, *args, **kwargs).arguments)
        given.update(given.pop("kwargs", {}))
        vars(self)["_gsbatch_fit"] = _Fit(given)

    def __getattr__(self: Any, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return Metrics() if name.endswith("_metrics") else _Nothing()

    @functools.wraps(original_fit)
    def fit(self: Any, *args: Any, **kwargs: Any) -> None:
        fitting.run(self, bind_fit(self, *args, **kwargs).arguments)

    trainer.__init__ = __init__
    trainer.__getattr__ = __getattr__
    trainer.fit = fit
    for name in _Fit({}).answers():
        setattr(trainer, name, _answered(name))
    for name in ("validate", "test", "predict"):
        stand_in = functools.wraps(getattr(trainer, name))(lambda self, *_args, **_kwargs: [Metrics()])
        setattr(trainer, name, stand_in)
    for name in _METRICS:
        setattr(trainer, name, Metrics())
    trainer.save_checkpoint = lambda self, *_args, **_kwargs: None


def _answered(name: str) -> Any:
    """A property that answers what the fit says, or what was set."""

    def get(self: Any) -> Any:
        return vars(self).get("_gsbatch_" + name, vars(self)["_gsbatch_fit"].answers()[name])

    return property(get, lambda self, value: vars(self).__setitem__("_gsbatch_" + name, value))


def _fit_of(module: Any) -> _Fit:
    trainer = vars(module).get("_gsbatch_trainer")
    return vars(trainer)["_gsbatch_fit"] if trainer is not None else _Fit({})


def _one_or_all(optimizers: List[Any]) -> Any:
    return optimizers[0] if len(optimizers) == 1 else optimizers


def _batches_of(fit: _Fit, loader: Any) -> int:
    """Batches of an epoch, as many as are asked for."""
    limit = fit.given.get("limit_train_batches") or fit.given.get("overfit_batches") or 1.0
    if not hasattr(loader, "__len__"):
        return int(limit) if not isinstance(limit, float) else 1
    return int(limit * len(loader)) if isinstance(limit, float) and limit <= 1 else min(int(limit), len(loader))


def _wants_index(step: Any) -> bool:
    """Whether a training step takes the number of its batch, which it may leave out."""
    try:
        parameters = list(inspect.signature(step).parameters.values())
    except (TypeError, ValueError):
        return True
    return len(parameters) > 1 or any(one.kind is one.VAR_POSITIONAL for one in parameters)


class _SideBySide:
    """Several loaders, read side by side until the longest ends (``max_size_cycle``), the longest of them last."""

    def __init__(self, loaders: Any) -> None:
        self._loaders, self._structure = _pytree.tree_flatten(loaders)

    def __len__(self) -> int:
        return max(len(loader) for loader in self._loaders)

    def __iter__(self) -> Iterator[Any]:
        order = sorted(range(len(self._loaders)), key=lambda place: len(self._loaders[place]))
        iterators = {place: iter(self._loaders[place]) for place in order}
        for _number in range(len(self)):
            batches: List[Any] = [None] * len(order)
            for place in order:
                try:
                    batches[place] = next(iterators[place])
                except StopIteration:
                    iterators[place] = iter(self._loaders[place])
                    batches[place] = next(iterators[place])
            yield _pytree.tree_unflatten(batches, self._structure)


def _side_by_side(loaders: Any) -> Any:
    if isinstance(loaders, (list, tuple)) and len(loaders) == 1:
        return loaders[0]
    return _SideBySide(loaders) if isinstance(loaders, (dict, list, tuple)) else loaders


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
