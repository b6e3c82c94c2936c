"""Stand-ins for what Keras reads from folders and URLs that are not on this machine, in the shape that is asked for.

The names of a few folders say which data set they hold: then its published number of samples is used. For all other
folders the number of samples is not known, and facts that depend on it stay unknown. The network, its batches and its
epochs are found all the same.
"""

import inspect
import os
import re
import sys
import types
from typing import Any, Callable, Dict, NamedTuple, Optional, Tuple

from ...dry_run.mistakes import is_foreign
from ...dry_run.session import DryRun
from ...dry_run.unknown_sizes import MadeUpClasses, doubt_number_of_classes, doubt_number_of_samples

_PLACEHOLDER = "what is called"


class _Known(NamedTuple):
    samples: int
    classes: int


_MADE_UP = _Known(320, 2)
# Number of files and of classes, by the end of the folder's path, from the pages of the data sets: TensorFlow's
# tutorials (flowers, cats and dogs), ai.stanford.edu/~amaas/data/sentiment (its unlabelled reviews set aside), and
# Berkeley's segmentation data set.
_BY_PATH: Tuple[Tuple[str, _Known], ...] = (
    (r"(^|/)flower_photos$", _Known(3670, 5)),
    (r"(^|/)cats_and_dogs_filtered/train$", _Known(2000, 2)),
    (r"(^|/)cats_and_dogs_filtered/validation$", _Known(1000, 2)),
    (r"(^|/)aclImdb/(train|test)$", _Known(25000, 2)),
    (r"(^|/)BSDS500/data(/images)?$", _Known(500, 3)),
)
_CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


def attach(keras: Any, session: DryRun) -> None:
    """Stand-ins for what reads folders and downloads."""
    root = keras.Model.__module__.split(".")[0]
    folders = _Folders(session)
    for kind, names in (
        ("image", ("src.utils.image_dataset_utils", "utils.image_dataset", "src.utils.image_dataset")),
        ("text", ("src.utils.text_dataset_utils", "utils.text_dataset", "src.utils.text_dataset")),
        ("audio", ("src.utils.audio_dataset_utils", "utils.audio_dataset", "src.utils.audio_dataset")),
    ):
        for name in names:
            module = sys.modules.get("%s.%s" % (root, name))
            function = getattr(module, "%s_dataset_from_directory" % kind, None)
            if isinstance(function, types.FunctionType):
                replace(function, folders.dataset(kind))
    for name in ("src.utils.file_utils", "src.utils.data_utils", "utils.data_utils"):
        function = getattr(sys.modules.get("%s.%s" % (root, name)), "get_file", None)
        if isinstance(function, types.FunctionType):
            replace(function, _get_file(root, session))


def _template(*args: Any, **kwargs: Any) -> Any:
    """The code that a function gets, with a stand-in in place of the constant."""
    stand_in: Any = "what is called"
    return stand_in(*args, **kwargs)


def replace(function: Any, make: Callable[[Any], Callable[..., Any]]) -> None:
    """Let a function do what ``make(original)`` does, under all names that it is exported by.

    A function of Keras is known as one of ``keras``, of ``tf.keras`` and of ``keras.src``: its code is what they share.
    """
    if function.__code__.co_freevars:
        return
    original = types.FunctionType(function.__code__, function.__globals__, function.__name__, function.__defaults__)
    original.__kwdefaults__ = function.__kwdefaults__
    stand_in, template = make(original), _template.__code__
    constants = tuple(stand_in if constant == _PLACEHOLDER else constant for constant in template.co_consts)
    function.__defaults__ = function.__kwdefaults__ = None
    function.__code__ = template.replace(co_consts=constants)


def _get_file(root: str, session: DryRun) -> Callable[[Any], Callable[..., Any]]:
    """``get_file``: pretrained weights need no file, and what cannot be downloaded is where it would have been."""

    def make(original: Any) -> Callable[..., Any]:
        def get_file(*args: Any, **kwargs: Any) -> Any:
            caller = sys._getframe(2).f_globals.get("__name__", "")  # this function, the template, its caller
            if ".applications." in caller:
                return "weights-are-not-loaded-in-a-dry-run.weights.h5"
            try:
                return original(*args, **kwargs)
            except Exception:
                if caller.split(".")[0] == root:
                    raise  # one of Keras's own data sets, which has a stand-in
                given = inspect.signature(original).bind(*args, **kwargs).arguments
                if not given.get("origin"):
                    raise
            name = str(given.get("fname") or os.path.basename(str(given["origin"])))
            session.report.note(
                "%s could not be downloaded here; the dry run goes on without it" % os.path.basename(name)
            )
            folder = str(given.get("cache_dir") or os.path.join(os.path.expanduser("~"), ".keras"))
            path = os.path.join(folder, str(given.get("cache_subdir") or "datasets"), name)
            return path + "_extracted" if given.get("extract") and root == "keras" else path

        return get_file

    return make


class _Folders:
    def __init__(self, session: DryRun) -> None:
        self._session = session

    def dataset(self, kind: str) -> Callable[[Any], Callable[..., Any]]:
        """``image_dataset_from_directory`` and its like, with a stand-in for a folder that is not there."""
        folders = self

        def make(original: Any) -> Callable[..., Any]:
            signature = inspect.signature(original)

            def dataset_from_directory(*args: Any, **kwargs: Any) -> Any:
                bound = signature.bind(*args, **kwargs)
                bound.apply_defaults()
                sample = None if os.path.isdir(bound.arguments["directory"]) else _sample(kind, bound.arguments)
                if sample is None:
                    return original(*args, **kwargs)
                return folders._made_up(kind, bound.arguments, sample)

            return dataset_from_directory

        return make

    def _made_up(self, kind: str, given: Dict[str, Any], sample: Any) -> Any:
        known = self._known(str(given["directory"]))
        names = given["class_names"]
        if names is None:
            names = [str(number) for number in range(known.classes)]
            names = MadeUpClasses(self._session.ledger, known.classes) if known is _MADE_UP else names
        if kind == "text":
            doubt_vocabularies(self._session)
        held_out = int((given["validation_split"] or 0) * known.samples)
        rows = {"training": known.samples - held_out, "validation": held_out}
        if known is not _MADE_UP:
            self._session.ledger.publish(*rows.values())
        label = _label(given, len(list(iter(names))))
        made = {
            name: _batches(sample, label, number, given["batch_size"], names) for name, number in rows.items() if number
        }
        if given["subset"] == "both":
            return made["training"], made["validation"]
        return made[given["subset"] or "training"]

    def _known(self, path: str) -> _Known:
        note = self._session.report.note
        path = path.replace(os.sep, "/").rstrip("/")
        for pattern, known in _BY_PATH:
            if re.search(pattern, path):
                note("the data set in %s is not on this machine; its published size is used" % path)
                return known
        note("the samples of %s are not on this machine: how many there are stays unknown" % path)
        doubt_number_of_samples(self._session.ledger)
        return _MADE_UP


def _sample(kind: str, given: Dict[str, Any]) -> Any:
    """One sample, None where the script does not say what it looks like or asks for something else than ``tf.data``."""
    if given.get("format", "tf") != "tf" or given.get("ragged"):
        return None
    import tensorflow

    if kind == "text":
        return tensorflow.constant("a few words of text")
    if kind == "audio":
        length = given["output_sequence_length"]
        return tensorflow.zeros([length, 1]) if length else None
    size, channels = [int(side) for side in given["image_size"]], _CHANNELS.get(given["color_mode"])
    if channels is None:
        return None
    is_first = given.get("data_format") == "channels_first"
    return tensorflow.zeros([channels, *size] if is_first else [*size, channels])


def _label(given: Dict[str, Any], classes: int) -> Optional[Any]:
    import tensorflow

    if given["labels"] is None or given["label_mode"] is None:
        return None
    if given["label_mode"] == "categorical":
        return tensorflow.one_hot(0, classes)
    return tensorflow.zeros([1]) if given["label_mode"] == "binary" else tensorflow.constant(0)


def _batches(sample: Any, label: Any, rows: int, batch: Optional[int], names: Any) -> Any:
    import tensorflow

    data = tensorflow.data.Dataset.from_tensors(sample if label is None else (sample, label)).repeat(rows)
    data = data.batch(batch) if batch else data
    data.class_names = names
    data.file_paths = ["sample-%d" % number for number in range(rows)]
    return data


def doubt_vocabularies(session: DryRun) -> None:
    """Networks that are as large as a vocabulary of made-up texts have an unknown number of parameters."""
    keras: Any = sys.modules.get("keras") or sys.modules.get("tf_keras")
    for kind in ("TextVectorization", "StringLookup"):
        layer = getattr(getattr(keras, "layers", None), kind, None)
        for name in ("get_vocabulary", "vocabulary_size"):
            if hasattr(layer, name):
                setattr(layer, name, _doubted(getattr(layer, name), session))


def _doubted(original: Any, session: DryRun) -> Any:
    def called(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not is_foreign(sys._getframe(1).f_code.co_filename):  # Keras itself asks too
            doubt_number_of_classes(session.ledger)
        return original(self, *args, **kwargs)

    return called
