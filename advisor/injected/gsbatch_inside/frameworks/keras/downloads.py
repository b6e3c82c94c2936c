"""Pretrained weights and Keras's own data sets, where they are not on this machine: shapes are enough for the facts."""

import sys
import types
from typing import Any, Callable, Dict, Tuple

from ...dry_run import report

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
_originals: Dict[str, Callable[..., Any]] = {}


def attach(keras: Any) -> None:
    """Stub what would be downloaded."""
    for name in list(_IMAGES) + list(_TABLES) + list(_TEXTS):
        module: Any = getattr(keras.datasets, name, None)
        if module is not None and isinstance(getattr(module, "load_data", None), types.FunctionType):
            _replace_code(name, module.load_data)
        if name in _WORDS and isinstance(getattr(module, "get_word_index", None), types.FunctionType):
            _replace_code(name + _INDEX, module.get_word_index)
    root = keras.Model.__module__.split(".")[0]
    for name in ("src.utils.file_utils", "src.utils.data_utils", "utils.data_utils"):
        module = sys.modules.get(root + "." + name)
        if module is not None and hasattr(module, "get_file"):
            module.get_file = _weights_need_no_file(module.get_file)


def _weights_need_no_file(original: Any) -> Any:
    def get_file(*args: Any, **kwargs: Any) -> Any:
        if ".applications." in sys._getframe(1).f_globals.get("__name__", ""):
            return "weights-are-not-loaded-in-a-dry-run.weights.h5"
        return original(*args, **kwargs)

    return get_file


def _replace_code(name: str, function: Any) -> None:
    # The function is exported under many names (keras, tf.keras, keras.src); its code is the one thing they share.
    _originals[name] = types.FunctionType(
        function.__code__, function.__globals__, name, function.__defaults__, function.__closure__
    )
    _originals[name].__kwdefaults__ = function.__kwdefaults__
    template = _load_placeholder.__code__
    constants = tuple(name if constant == _PLACEHOLDER else constant for constant in template.co_consts)
    if not function.__code__.co_freevars:
        function.__defaults__ = function.__kwdefaults__ = None
        function.__code__ = template.replace(co_consts=constants)


_PLACEHOLDER = "the data set's name"


def _load_placeholder(*args: Any, **kwargs: Any) -> Any:
    """The code that a data set's ``load_data`` gets, with its name in place of the constant."""
    from gsbatch_inside.frameworks.keras import downloads as keras_downloads

    return keras_downloads.load("the data set's name", args, kwargs)


def load(name: str, args: Any, kwargs: Any) -> Any:
    """The data set where it is cached here, else zeros of its shape."""
    try:
        return _originals[name](*args, **kwargs)
    except Exception:
        if kwargs.get("maxlen"):
            raise  # how many texts are short enough is not known without them
        report.note("the data set %s is not on this machine; its known size is used" % name.replace(_INDEX, ""))
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
