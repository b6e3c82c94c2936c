"""Batches of ``tf.data`` in a dry run, and loops over them inside a graph.

After the first training step, one batch is handed out again and again, because reading more would cost time and change
no fact. The number of batches and the size of the last one stay as they are.
"""

import functools
from typing import Any, Dict, List, Optional, Tuple

from ...dry_run.batches import Pass, Source
from ...dry_run.session import DryRun
from ..keras import data as keras_data

_UNKNOWN, _ENDLESS = -2, -1


class Size:
    """Of a data set: batches of a pass (as ``cardinality`` says it), samples, rows of a batch, shape of a sample."""

    def __init__(self, dataset: Any, reader: keras_data.Reader) -> None:
        self.batches = int(dataset.cardinality())
        self.samples, self.rows = reader.counted(dataset)
        shape = getattr(_first(dataset.element_spec), "shape", None)
        sizes: List[Any] = shape.as_list()[1:] if shape is not None and shape.rank else [None]
        self.shape: Optional[Tuple[int, ...]] = None if None in sizes else tuple(sizes)
        self.source = Source(
            samples=self.samples,
            batches=self.batches if self.batches > 0 else None,
            batch=self.rows,
            identity=id(dataset),
        )


class _Pass(Pass):
    """One pass over a data set: how many batches it has given, and the one that is handed out again."""

    def __init__(self, size: Size, taken: int) -> None:
        super().__init__(size.source)
        self.size = size
        self.given = 0
        self.at = taken
        self.element: Any = None


class Batches:
    """The data sets of the script.

    ``rows``, ``samples`` and ``shape`` are those of the data set that was last read. ``whole_number`` is what the
    function that is being traced was called with, as a tensor, and ``whole_number_ends_a_loop`` whether a loop's end is
    that.
    """

    def __init__(self, tensorflow: Any, session: DryRun) -> None:
        self._tensorflow = tensorflow
        self._session = session
        self._reader = keras_data.Reader(session.report.note)
        # For each loop around the body that is being traced: its rounds in one call of the step, and how many whole
        # batches of samples it works on in them.
        self._multiples: List[Tuple[float, float]] = []
        self._sizes: Dict[int, Tuple[Any, Size]] = {}
        self.rows: Optional[int] = None
        self.samples: Optional[int] = None
        self.shape: Optional[Tuple[int, ...]] = None
        self.whole_number: Optional[int] = None
        self.whole_number_ends_a_loop = False

    def attach(self) -> None:
        """Hook eager iterators, and what AutoGraph makes of ``for`` inside of functions."""
        from tensorflow.python.autograph import operators
        from tensorflow.python.autograph.core import config
        from tensorflow.python.data.ops import iterator_ops

        ours = config.DoNotConvert(__name__.split(".")[0])
        config.CONVERSION_RULES = (ours,) + tuple(config.CONVERSION_RULES)
        iterator = iterator_ops.OwnedIterator
        iterator._next_internal = self._next(iterator._next_internal)
        operators.for_stmt = self._for(operators.for_stmt)

    def see(self, dataset: Any) -> None:
        """A data set whose iterator is handed to a function: inside, only its element is known."""
        size = self._size(dataset)
        self.rows, self.samples, self.shape = size.rows, size.samples, size.shape

    def times(self) -> Tuple[float, float]:
        """(rounds, samples in batches) of one call of the step that is being traced."""
        rounds = batches = 1.0
        for one, other in self._multiples:
            rounds, batches = rounds * one, batches * other
        return rounds, batches

    def _size(self, dataset: Any) -> Size:
        if id(dataset) not in self._sizes:
            with self._tensorflow.init_scope():  # outside of the function that may be being traced
                size = Size(dataset, self._reader)
            self._sizes[id(dataset)] = (dataset, size)  # kept, because Python reuses the ``id`` of a freed object
        return self._sizes[id(dataset)][1]

    def _next(self, original: Any) -> Any:
        from tensorflow.python.framework import errors

        batches, tensorflow, ledger = self, self._tensorflow, self._session.ledger

        @functools.wraps(original)
        def _next_internal(self: Any) -> Any:
            dataset = getattr(self, "_dataset", None)
            if not tensorflow.executing_eagerly():
                return batches.with_rows(original(self), batches.rows)
            if dataset is None:
                return original(self)
            if not hasattr(self, "_gsbatch_pass"):
                self._gsbatch_pass = _Pass(batches._size(dataset), ledger.taken_in_all)
            this = self._gsbatch_pass
            if this.element is not None and this.size.batches != _UNKNOWN:
                if this.given == this.size.batches:
                    ledger.end(this)
                    raise errors.OutOfRangeError(None, None, "End of sequence")
                element = batches._last(this) if this.given == this.size.batches - 1 else this.element
            else:
                try:
                    element = original(self)
                except errors.OutOfRangeError:
                    this.size.batches = this.given
                    ledger.end(this)
                    raise
            this.given += 1
            trains = ledger.taken_in_all > this.at
            this.at = ledger.taken_in_all
            if trains and this.element is None:
                this.element = element
            batches.see(dataset)
            batches.rows = batches.rows or keras_data.rows(_first(element))
            rows = keras_data.rows(_first(element)) or batches.rows or 0
            ledger.read(this, rows, rows)
            return element

        return _next_internal

    def _last(self, this: _Pass) -> Any:
        """The last batch, which may be shorter."""
        size = this.size
        if not size.rows or not size.samples or size.batches < 1:
            return this.element
        left = size.samples - (size.batches - 1) * size.rows
        if not 0 < left < size.rows:
            return this.element
        cut = lambda leaf: leaf[:left] if len(leaf.shape) and leaf.shape[0] == size.rows else leaf
        return self._tensorflow.nest.map_structure(cut, this.element)

    def with_rows(self, element: Any, rows: Optional[int]) -> Any:
        """Say how long a batch is to a graph that only knows that it differs."""

        def say(tensor: Any) -> Any:
            if rows and hasattr(tensor, "set_shape") and tensor.shape.rank and tensor.shape[0] is None:
                tensor.set_shape([rows] + tensor.shape.as_list()[1:])
            return tensor

        return self._tensorflow.nest.map_structure(say, element)

    def _for(self, original: Any) -> Any:
        @functools.wraps(original)
        def for_stmt(iter_: Any, extra_test: Any, body: Any, *rest: Any) -> Any:
            rounds, batches, rows = self._length(iter_)

            def watched(iterate: Any) -> Any:
                self._multiples.append((rounds, batches))
                try:
                    return body(self.with_rows(iterate, rows))
                finally:
                    self._multiples.pop()

            return original(iter_, extra_test, watched if rounds else body, *rest)

        return for_stmt

    def _length(self, iter_: Any) -> Tuple[float, float, Optional[int]]:
        """(rounds, batches' worth of samples, rows of a batch) of a loop inside of a graph; 0 rounds: it is none."""
        from tensorflow.python.autograph.utils import tensors
        from tensorflow.python.framework import tensor_util

        if self._tensorflow.executing_eagerly():
            return 0.0, 0.0, None
        if hasattr(iter_, "cardinality") and hasattr(iter_, "element_spec"):
            size = self._size(iter_)
            self.see(iter_)
            batches = size.samples / size.rows if size.samples and size.rows else size.batches
            known = size.batches > 0
            return (size.batches, batches, size.rows) if known else (float("nan"), float("nan"), size.rows)
        if tensor_util.is_tf_type(iter_) and not hasattr(iter_, "numpy"):
            if tensors.is_range_tensor(iter_):
                return self._length_of_range(iter_)
            rounds = float(iter_.shape[0] or 0) or float("nan")
            return rounds, rounds, None
        return 0.0, 0.0, None

    def _length_of_range(self, iter_: Any) -> Tuple[float, float, Optional[int]]:
        from tensorflow.python.framework import tensor_util

        start, limit, delta = (tensor_util.constant_value(tensor) for tensor in iter_.op.inputs)
        if limit is None and isinstance(self.whole_number, int):
            limit = self.whole_number
            self.whole_number_ends_a_loop = True
        if start is None or limit is None or delta is None:
            return float("nan"), float("nan"), None
        rounds = float(len(range(int(start), int(limit), int(delta))))
        return rounds, rounds, None


def _first(element: Any) -> Any:
    return element[0] if isinstance(element, (tuple, list)) and len(element) else element
