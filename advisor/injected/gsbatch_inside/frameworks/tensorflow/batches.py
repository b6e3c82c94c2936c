"""Batches of ``tf.data`` in a dry run: read once, then handed out again; and loops over them inside of a graph.

What a pass over a data set costs in reading is not ours to spend, and no fact hangs on it: the number of batches and
the size of the last one do, and these stay as they are.
"""

import functools
from typing import Any, Dict, List, Optional, Tuple

from ...dry_run import training_steps
from ..keras import data as keras_data

_UNKNOWN, _ENDLESS = -2, -1
# How often one call of a traced step goes through the body that is being traced: rounds, and batches' worth of samples.
_multiples: List[Tuple[float, float]] = []
last_rows: List[Optional[int]] = [None]
last_samples: List[Optional[int]] = [None]
# The whole number that the function being traced was called with, as a tensor, and whether a loop's end is that.
whole_number: List[Optional[int]] = [None]
whole_number_ends_a_loop = [False]
last_shape: List[Optional[Tuple[int, ...]]] = [None]


def attach(tensorflow: Any) -> None:
    """Hook eager iterators, and what AutoGraph makes of ``for`` inside of functions."""
    from tensorflow.python.autograph import operators
    from tensorflow.python.autograph.core import config
    from tensorflow.python.data.ops import iterator_ops

    ours = config.DoNotConvert(__name__.split(".")[0])
    config.CONVERSION_RULES = (ours,) + tuple(config.CONVERSION_RULES)
    iterator = iterator_ops.OwnedIterator
    iterator._next_internal = _next(tensorflow, iterator._next_internal)
    operators.for_stmt = _for(tensorflow, operators.for_stmt)


def see(dataset: Any) -> None:
    """A data set whose iterator is handed to a function: inside, only its element is known."""
    size = _size(dataset)
    last_rows[0], last_samples[0], last_shape[0] = size.rows, size.samples, size.shape


def times() -> Tuple[float, float]:
    """(rounds, samples in batches) of one call of the step that is being traced."""
    rounds = batches = 1.0
    for one, other in _multiples:
        rounds, batches = rounds * one, batches * other
    return rounds, batches


class _Pass:
    """One pass over a data set: how many batches it has, and the one that is handed out again."""

    def __init__(self, dataset: Any) -> None:
        self.size = _size(dataset)
        self.given = 0
        self.at = training_steps.count()
        self.element: Any = None


class _Size:
    def __init__(self, dataset: Any) -> None:
        self.batches = int(dataset.cardinality())
        self.samples, self.rows = keras_data.counted(dataset)
        shape = getattr(_first(dataset.element_spec), "shape", None)
        sizes = shape.as_list()[1:] if shape is not None and shape.rank else [None]
        self.shape = None if None in sizes else tuple(sizes)


_sizes: Dict[int, Tuple[Any, _Size]] = {}


def _size(dataset: Any) -> _Size:
    if id(dataset) not in _sizes:
        import tensorflow

        with tensorflow.init_scope():  # a function may be being traced
            _sizes[id(dataset)] = (dataset, _Size(dataset))  # kept, so that its id stays its own
    return _sizes[id(dataset)][1]


def _next(tensorflow: Any, original: Any) -> Any:
    from tensorflow.python.framework import errors

    @functools.wraps(original)
    def _next_internal(self: Any) -> Any:
        dataset = getattr(self, "_dataset", None)
        if not tensorflow.executing_eagerly():
            return _with_rows(tensorflow, original(self), last_rows[0])
        if dataset is None:
            return original(self)
        if not hasattr(self, "_gsbatch_pass"):
            self._gsbatch_pass = _Pass(dataset)
        this = self._gsbatch_pass
        if this.element is not None and this.size.batches != _UNKNOWN:
            if this.given == this.size.batches:
                raise errors.OutOfRangeError(None, None, "End of sequence")
            element = _last(tensorflow, this) if this.given == this.size.batches - 1 else this.element
        else:
            try:
                element = original(self)
            except errors.OutOfRangeError:
                this.size.batches = this.given
                raise
        this.given += 1
        trains = training_steps.count() > this.at
        this.at = training_steps.count()
        if trains and this.element is None:
            this.element = element
        see(dataset)
        last_rows[0] = last_rows[0] or keras_data.rows(_first(element))
        return element

    return _next_internal


def _first(element: Any) -> Any:
    return element[0] if isinstance(element, (tuple, list)) and len(element) else element


def _last(tensorflow: Any, this: _Pass) -> Any:
    """The last batch, which may be shorter."""
    size = this.size
    if not size.rows or not size.samples or size.batches < 1:
        return this.element
    left = size.samples - (size.batches - 1) * size.rows
    if not 0 < left < size.rows:
        return this.element
    cut = lambda leaf: leaf[:left] if len(leaf.shape) and leaf.shape[0] == size.rows else leaf
    return tensorflow.nest.map_structure(cut, this.element)


def _with_rows(tensorflow: Any, element: Any, rows: Optional[int]) -> Any:
    """Say how long a batch is to a graph that only knows that it differs."""

    def say(tensor: Any) -> Any:
        if rows and hasattr(tensor, "set_shape") and tensor.shape.rank and tensor.shape[0] is None:
            tensor.set_shape([rows] + tensor.shape.as_list()[1:])
        return tensor

    return tensorflow.nest.map_structure(say, element)


def _for(tensorflow: Any, original: Any) -> Any:
    @functools.wraps(original)
    def for_stmt(iter_: Any, extra_test: Any, body: Any, *rest: Any) -> Any:
        rounds, batches, rows = _length(tensorflow, iter_)

        def watched(iterate: Any) -> Any:
            _multiples.append((rounds, batches))
            try:
                return body(_with_rows(tensorflow, iterate, rows))
            finally:
                _multiples.pop()

        return original(iter_, extra_test, watched if rounds else body, *rest)

    return for_stmt


def _length(tensorflow: Any, iter_: Any) -> Tuple[float, float, Optional[int]]:
    """(rounds, batches' worth of samples, rows of a batch) of a loop inside of a graph; 0 rounds where it is none."""
    from tensorflow.python.autograph.utils import tensors
    from tensorflow.python.framework import tensor_util

    if tensorflow.executing_eagerly():
        return 0.0, 0.0, None
    if hasattr(iter_, "cardinality") and hasattr(iter_, "element_spec"):
        size = _size(iter_)
        see(iter_)
        batches = size.samples / size.rows if size.samples and size.rows else size.batches
        return (size.batches, batches, size.rows) if size.batches > 0 else (float("nan"), float("nan"), size.rows)
    if tensor_util.is_tf_type(iter_) and not hasattr(iter_, "numpy"):
        if tensors.is_range_tensor(iter_):
            start, limit, delta = (tensor_util.constant_value(tensor) for tensor in iter_.op.inputs)
            if limit is None and isinstance(whole_number[0], int):
                limit = whole_number[0]
                whole_number_ends_a_loop[0] = True
            if start is None or limit is None or delta is None:
                return float("nan"), float("nan"), None
            rounds = float(len(range(int(start), int(limit), int(delta))))
        else:
            rounds = float(iter_.shape[0] or 0) or float("nan")
        return rounds, rounds, None
    return 0.0, 0.0, None
