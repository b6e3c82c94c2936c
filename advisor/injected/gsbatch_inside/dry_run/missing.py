"""Stand-ins for packages that are not installed and that a training does not need: loggers, plots, metrics.

Without them a script would end at its first import. With them it goes on, the stand-ins do nothing, and the user gets a
note. A package that the script imports inside ``try`` is left missing, because the script handles that case itself.
"""

import importlib.machinery
import importlib.util
import os
import sys
import types
from typing import Any, Callable, Iterator, Optional, Sequence, Set

_NOT_NEEDED = frozenset({
    # loggers and trackers
    "aim", "clearml", "codecarbon", "comet_ml", "dvclive", "mlflow", "neptune", "swanlab", "tensorboard",
    "tensorboardX", "trackio", "visdom", "wandb",
    # metrics
    "bert_score", "evaluate", "jiwer", "lpips", "pycocotools", "pytorch_fid", "rouge_score", "sacrebleu", "seqeval",
    # storage
    "boto3", "s3fs", "gcsfs", "gdown", "huggingface_hub",
    # displays, plots, summaries
    "IPython", "colorama", "fvcore", "loguru", "matplotlib", "plotly", "prettytable", "ptflops", "pynvml", "rich",
    "seaborn", "tabulate", "termcolor", "thop", "torchinfo", "torchsummary", "torchviz", "tqdm",
})  # fmt: skip
_WITHIN = {"torch.utils.tensorboard": "tensorboard", "torch.utils.tensorboard.writer": "tensorboard"}
_OF_PAIRS = ("subplots",)


class Anything:
    """Answers everything with itself: called, read, iterated, computed with, used as a decorator or a base class."""

    def __init__(self, *_args: Any, **_kwargs: Any) -> None:
        return

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _pair if name in _OF_PAIRS else Anything()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        is_decorator = len(args) == 1 and not kwargs and isinstance(args[0], (types.FunctionType, type))
        return args[0] if is_decorator else Anything()

    def __getitem__(self, _key: Any) -> Any:
        return Anything()

    def __setitem__(self, _key: Any, _value: Any) -> None:
        return

    def __iter__(self) -> Iterator[Any]:
        return iter(())

    def __len__(self) -> int:
        return 0

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_exc: Any) -> None:
        return

    def __float__(self) -> float:
        return 0.5

    def __int__(self) -> int:
        return 0

    def __format__(self, spec: str) -> str:
        return format(0.5, spec) if spec else ""

    def __mro_entries__(self, _bases: Any) -> Any:
        return ()


def _computed(_self: Any, *_others: Any) -> Any:
    return Anything()


for _name in ("add", "radd", "sub", "rsub", "mul", "rmul", "truediv", "rtruediv", "neg", "or", "ror"):
    setattr(Anything, "__%s__" % _name, _computed)


def _pair(*_args: Any, **_kwargs: Any) -> Any:
    return Anything(), Anything()


class _Config(dict):  # type: ignore[type-arg]
    """A run's configuration: what the script put in, by key and by attribute."""

    def __getattr__(self, name: str) -> Any:
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = value

    def update(self, *args: Any, **kwargs: Any) -> None:
        kwargs.pop("allow_val_change", None)
        for given in args:
            super().update(given if isinstance(given, dict) else vars(given))
        super().update(kwargs)


class _Run(Anything):
    """A run of Weights & Biases."""

    def __init__(self, config: _Config) -> None:
        self.config = config
        self.name = self.id = "dry-run"


def _wandb(module: Any) -> None:
    module.config = _Config()

    def init(*_args: Any, config: Any = None, **_kwargs: Any) -> Any:
        if config is not None:
            module.config.update(config)
        module.run = _Run(module.config)
        return module.run

    module.init, module.run = init, None


class Metric(Anything):
    """A metric of ``evaluate``."""

    def compute(self, *_args: Any, **_kwargs: Any) -> Any:
        """Whatever is asked for."""
        return _Scores()


class _Scores(dict):  # type: ignore[type-arg]
    def __missing__(self, name: str) -> float:
        return 0.5


def _evaluate(module: Any) -> None:
    module.load = lambda *_args, **_kwargs: Metric()
    module.combine = lambda *_args, **_kwargs: Metric()


class _Bar(Anything):
    """A progress bar: what it goes over."""

    def __init__(self, iterable: Any = (), *_args: Any, **_kwargs: Any) -> None:
        self.iterable = iterable

    def __iter__(self) -> Iterator[Any]:
        return iter(self.iterable)

    def __len__(self) -> int:
        return len(self.iterable)


def _tqdm(module: Any) -> None:
    module.tqdm = module.tqdm_notebook = _Bar
    module.trange = lambda *args, **_kwargs: _Bar(range(*args))
    module.auto = module.notebook = module
    _Bar.__module__ = "tqdm"


_SPECIAL = {"wandb": _wandb, "evaluate": _evaluate, "tqdm": _tqdm}


class _Module(types.ModuleType):
    """A package that is not there."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _pair if name in _OF_PAIRS else Anything()


class Missing:
    """Finds stand-ins after all other finders have found nothing.

    ``needed`` are the names that the script's own files import outside any ``try``.
    """

    def __init__(self, needed: Set[str], note: Callable[[str], None]) -> None:
        self._needed = needed
        self._note = note

    def watch(self) -> None:
        """Put it behind all other finders.

        For modules that are installed but cannot be imported without a missing package, also put it before them.
        """
        sys.meta_path.append(self)
        absent = {name for name, top in _WITHIN.items() if importlib.util.find_spec(top) is None}
        sys.meta_path.insert(0, _Before(self, absent))

    def find_spec(self, fullname: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        top = _WITHIN.get(fullname, fullname.partition(".")[0])
        if top not in _NOT_NEEDED or not any(_is_part(name, fullname) for name in self._needed):
            return None
        module = sys.modules.get(top)
        if module is not None and not isinstance(module, _Module):
            return None  # it is there, and has no such part
        self._note("%s is not installed here, which the dry run goes on without; the job will need it" % top)
        return importlib.machinery.ModuleSpec(fullname, self, is_package=True)  # type: ignore[arg-type]

    def create_module(self, spec: Any) -> Any:
        """The stand-in."""
        module = _Module(spec.name)
        _SPECIAL.get(spec.name, lambda _module: None)(module)
        return module

    def exec_module(self, module: Any) -> None:
        """Nothing is run."""
        module.__file__ = os.devnull


class _Before:
    """Asks for stand-ins of some modules at once."""

    def __init__(self, missing: Missing, names: Set[str]) -> None:
        self._missing = missing
        self._names = names

    def find_spec(self, fullname: str, path: Optional[Sequence[str]] = None, target: Any = None) -> Any:
        return self._missing.find_spec(fullname, path, target) if fullname in self._names else None


def _is_part(one: str, other: str) -> bool:
    """Whether a dotted name is another one, or above or below it."""
    return one == other or one.startswith(other + ".") or other.startswith(one + ".")
