"""Stand-ins for Keras's own data sets that are not on this machine: zeros of the published shape."""

import types
from typing import Any, Callable, Dict, Tuple

from ...dry_run.session import DryRun
from . import made_up

# (train, test, shape of a sample, classes); the labels cover every class, since scripts count them.
_IMAGES: Dict[str, Tuple[int, int, Tuple[int, ...], int]] = {
    "mnist": (60000, 10000, (28, 28), 10),
    "fashion_mnist": (60000, 10000, (28, 28), 10),
    "cifar10": (50000, 10000, (32, 32, 3), 10),
    "cifar100": (50000, 10000, (32, 32, 3), 100),
}
_TABLES = {"boston_housing": (404, 102, (13,)), "california_housing": (16512, 4128, (8,))}
_TEXTS = {"imdb": (25000, 25000, 2, 238), "reuters": (8982, 2246, 46, 145)}
_SMALL_CALIFORNIA = (480, 120, (8,))
_INDEX = " words"
_WORDS = {"imdb": 88584, "reuters": 30979}


def attach(keras: Any, session: DryRun) -> None:
    """Stub what would be downloaded."""
    for name in list(_IMAGES) + list(_TABLES) + list(_TEXTS):
        module: Any = getattr(keras.datasets, name, None)
        if module is not None and isinstance(getattr(module, "load_data", None), types.FunctionType):
            made_up.replace(module.load_data, _published(name, session))
        if name in _WORDS and isinstance(getattr(module, "get_word_index", None), types.FunctionType):
            made_up.replace(module.get_word_index, _published(name + _INDEX, session))


def _published(name: str, session: DryRun) -> Callable[[Any], Callable[..., Any]]:
    def make(original: Any) -> Callable[..., Any]:
        def load(*args: Any, **kwargs: Any) -> Any:
            """The data set where it is cached here, else zeros of its shape."""
            try:
                return original(*args, **kwargs)
            except Exception:
                if kwargs.get("maxlen"):
                    raise  # how many texts are short enough is not known without the texts
            data_set = name.replace(_INDEX, "")
            session.report.note("the data set %s is not on this machine; its published size is used" % data_set)
            sizes: Any = {**_IMAGES, **_TABLES, **_TEXTS}[data_set]
            session.ledger.publish(sizes[0], sizes[1])
            return _made_up(name, kwargs)

        return load

    return make


def _made_up(name: str, kwargs: Any) -> Any:
    import numpy

    if name.endswith(_INDEX):
        return {"word %d" % number: number for number in range(1, _WORDS[name.replace(_INDEX, "")] + 1)}
    if name in _IMAGES:
        train, test, shape, classes = _IMAGES[name]
        label = lambda rows: numpy.arange(rows, dtype="uint8") % classes
        fold = lambda labels: labels[:, None] if name.startswith("cifar") else labels
        return tuple((numpy.zeros((rows,) + shape, "uint8"), fold(label(rows))) for rows in (train, test))
    if name in _TABLES:
        train, test, shape = _SMALL_CALIFORNIA if kwargs.get("version") == "small" else _TABLES[name]
        train, test = _split(train + test, kwargs, train)
        return tuple((numpy.zeros((rows,) + shape), numpy.zeros(rows)) for rows in (train, test))
    train, test, classes, length = _TEXTS[name]
    train, test = _split(train + test, kwargs, train)
    text = lambda rows: numpy.array([[1] * length + [2] * (row % 2) for row in range(rows)], dtype=object)
    return tuple((text(rows), numpy.arange(rows) % classes) for rows in (train, test))


def _split(rows: int, kwargs: Any, train: int) -> Tuple[int, int]:
    """How Keras cuts a data set in two where the script says which share is for tests."""
    if "test_split" in kwargs:
        train = int(rows * (1 - kwargs["test_split"]))
    return train, rows - train
