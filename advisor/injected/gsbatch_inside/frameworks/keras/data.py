"""Samples, batches and shapes of what ``fit`` is given, in every form that Keras takes.

As little as possible is read: arrays have a length, the steps of a ``tf.data`` pipeline say their sizes, and one
element is drawn from a generator. Where only reading everything would tell the number, records are counted for a few
seconds; if that is not enough, the number stays unknown.
"""

import math
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

_COUNT_S = 4.0
_UNKNOWN, _ENDLESS = -2, -1  # what ``cardinality`` of a ``tf.data`` pipeline answers
_ONE_TO_ONE = ("MapDataset", "ParallelMapDataset", "PrefetchDataset", "ShuffleDataset")


class Data(NamedTuple):
    """``specs`` is the nested structure of one batch of inputs as (shape without batch axis, dtype name).

    ``batches`` are those of one epoch.
    """

    batch_size: Optional[int] = None
    train_samples: Optional[int] = None
    validation_samples: Optional[int] = None
    input_shape: Optional[Tuple[int, ...]] = None
    specs: Any = None
    target_specs: Any = None
    batches: Optional[int] = None


class Reader:
    """Reads what a training is given; ``note`` takes sentences for the user."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note

    def describe(self, x: Any, y: Any, given: Dict[str, Any]) -> Data:
        """Read the arguments of ``fit``."""
        batch_size = given.get("batch_size")
        steps = given.get("steps_per_epoch")
        samples, found_batch, specs, target_specs = self._source(x, batch_size, steps)
        if found_batch is None and _is_arrays(x):
            found_batch = int(batch_size or 32)
        if y is not None:
            target_specs = _specs(y)
        validation = given.get("validation_data")
        split = float(given.get("validation_split") or 0.0)
        validation_samples: Optional[int] = None
        if validation is not None:
            validation_samples = self._validation(validation, given)
        elif split and samples:
            kept = int(math.floor(samples * (1.0 - split)))  # as Keras itself cuts
            samples, validation_samples = kept, samples - kept
        else:
            validation_samples = 0
        if steps and found_batch and (samples is None or not _is_arrays(x)):
            samples = int(steps) * found_batch
        elif steps and found_batch and samples:
            samples = min(samples, int(steps) * found_batch)
        batches = _batches(x, samples, found_batch, steps)
        return Data(found_batch, samples, validation_samples, input_shape(specs), specs, target_specs, batches)

    def _validation(self, validation: Any, given: Dict[str, Any]) -> Optional[int]:
        x = validation[0] if isinstance(validation, (tuple, list)) else validation
        steps = given.get("validation_steps")
        samples, batch_size, _specs_unused, _targets = self._source(x, given.get("validation_batch_size"), steps)
        if steps and batch_size and not _is_arrays(x):
            return int(steps) * batch_size
        return samples

    def _source(self, x: Any, batch_size: Any, steps: Any) -> Tuple[Optional[int], Optional[int], Any, Any]:
        """(samples of one epoch, batch size, specs of the inputs, specs of the targets)."""
        if x is None:
            return None, None, None, None
        if _is_dataset(x):
            samples, batch = self._dataset(x)
            inputs, targets = _split_element(x.element_spec)
            if batch is None:
                batch = _static_batch(inputs) or _drawn_batch(x)
            if samples is None and batch is not None:
                samples = self._from_batches(x, batch, steps)
            return samples, batch, _specs(inputs), _specs(targets)
        if _is_arrays(x):
            return rows(x), int(batch_size) if batch_size else None, _specs(x), None
        if hasattr(x, "dataset") and hasattr(x, "batch_sampler"):
            return _torch_loader(x)
        if hasattr(x, "__getitem__") and hasattr(x, "__len__"):
            return _sequence(x)
        if hasattr(x, "__next__") or hasattr(x, "__iter__"):
            return self._generator(x, steps)
        return None, None, None, None

    def counted(self, dataset: Any) -> Tuple[Optional[int], Optional[int]]:
        """Samples of one pass over a ``tf.data`` pipeline, and its batch size."""
        samples, batch = self._dataset(dataset)
        if batch is None:
            batch = _static_batch(_split_element(dataset.element_spec)[0])
        return samples, batch

    def _dataset(self, dataset: Any) -> Tuple[Optional[int], Optional[int]]:
        """Samples of one pass and batch size of a ``tf.data`` pipeline, found at its outermost batching step."""
        outer, batching = int(dataset.cardinality()), dataset
        while batching is not None and _batch_of(batching) is None:
            batching = _input_of(batching)
        if batching is None:
            return None, None
        batch: int = _batch_of(batching)  # type: ignore[assignment]
        if outer == _ENDLESS:  # repeats without end: steps_per_epoch says how much of it is an epoch
            return None, batch
        inner = _input_of(batching)
        records = int(inner.cardinality()) if inner is not None else _UNKNOWN
        if records == _UNKNOWN and inner is not None:
            counted = self._counted(inner)
            if counted is None or outer != _UNKNOWN:
                return counted, batch
            return (counted // batch * batch if _drops(batching) else counted), batch
        passes = int(batching.cardinality())
        if outer == _UNKNOWN or passes <= 0:
            return None, batch
        short = 0 if _drops(batching) else passes * batch - records
        return int(outer * batch - short * (outer // passes)), batch

    def _counted(self, dataset: Any) -> Optional[int]:
        # Steps that map one record to one record do not change the number, and their input is cheaper to read.
        while type(dataset).__name__.lstrip("_") in _ONE_TO_ONE:
            below = _input_of(dataset)
            if below is None:
                break
            dataset = below
        known = int(dataset.cardinality())
        if known >= 0:
            return known
        if known == _ENDLESS:
            return None
        until, count = time.monotonic() + _COUNT_S, 0
        for _element in dataset:
            count += 1
            if time.monotonic() > until:
                self._note("the data set does not say how many samples it has, and counting them takes too long")
                return None
        return count

    def _from_batches(self, dataset: Any, batch: int, steps: Any) -> Optional[int]:
        if steps:
            return int(steps) * batch
        batches = int(dataset.cardinality())
        if batches == _UNKNOWN:
            counted = self._counted(dataset)
            batches = _UNKNOWN if counted is None else counted
        return batches * batch if batches >= 0 else None

    def _generator(self, x: Any, steps: Any) -> Tuple[Optional[int], Optional[int], Any, Any]:
        inputs, targets = _split_element(next(iter(x)))
        batch = rows(inputs)
        if steps is None:
            self._note("a generator without steps_per_epoch: how many samples it gives is not known before it ran")
        return (int(steps) * batch if steps and batch else None), batch, _specs(inputs), _specs(targets)


def _batches(x: Any, samples: Optional[int], batch: Optional[int], steps: Any) -> Optional[int]:
    if steps and not _is_arrays(x):
        return int(steps)
    if _is_dataset(x) and int(x.cardinality()) >= 0:
        return int(x.cardinality())
    return math.ceil(samples / batch) if samples and batch else None


def rows(x: Any) -> Optional[int]:
    """Length of the batch axis of arrays; None for anything else."""
    leaf = _first_leaf(x)
    shape = getattr(leaf, "shape", None)
    if shape is not None and len(shape) and not _is_dataset(leaf):
        return int(shape[0])
    if isinstance(leaf, (list, tuple)) and not _is_dataset(leaf):
        return len(leaf)
    return None


def in_memory(x: Any) -> bool:
    """Whether the training data are arrays, whole in memory."""
    return x is not None and _is_arrays(x)


def _is_dataset(value: Any) -> bool:
    return hasattr(value, "element_spec") and hasattr(value, "cardinality")


def _is_arrays(x: Any) -> bool:
    leaf = _first_leaf(x)
    return leaf is not None and not _is_dataset(x) and hasattr(leaf, "shape")


def _first_leaf(x: Any) -> Any:
    while isinstance(x, (dict, list, tuple)) and len(x):
        if isinstance(x, (list, tuple)) and isinstance(x[0], (int, float)):
            return x
        x = next(iter(x.values())) if isinstance(x, dict) else x[0]
    return x


def _static_batch(inputs: Any) -> Optional[int]:
    """The first axis of a data set's elements where it is known without reading one."""
    shape = getattr(_first_leaf(inputs), "shape", None)
    return int(shape[0]) if shape is not None and shape.rank and shape[0] else None


def _batch_of(dataset: Any) -> Optional[int]:
    if "Batch" not in type(dataset).__name__ or "Unbatch" in type(dataset).__name__:
        return None
    size = getattr(dataset, "_batch_size", None)
    try:
        return int(size) if size is not None else None
    except (TypeError, ValueError):
        return None


def _input_of(dataset: Any) -> Any:
    return getattr(dataset, "_input_dataset", None) or getattr(dataset, "_dataset", None)


def _drops(dataset: Any) -> bool:
    try:
        return bool(getattr(dataset, "_drop_remainder", False))
    except (TypeError, ValueError):
        return False


def _drawn_batch(dataset: Any) -> Optional[int]:
    for element in dataset.take(1):
        return rows(_split_element(element)[0])
    return None


def _sequence(x: Any) -> Tuple[Optional[int], Optional[int], Any, Any]:
    """A Keras ``Sequence`` or ``PyDataset``, or anything that is indexed by batch; the last batch may be shorter."""
    batches = getattr(x, "num_batches", None)
    batches = int(batches if batches is not None else len(x))
    inputs, targets = _split_element(x[0])
    batch = rows(inputs)
    if not batch or not batches:
        return None, batch, _specs(inputs), _specs(targets)
    exact = getattr(x, "samples", None) or getattr(x, "n", None)  # Keras's image iterators know it
    if isinstance(exact, int) and math.ceil(exact / batch) == batches:
        return exact, batch, _specs(inputs), _specs(targets)
    last = rows(_split_element(x[batches - 1])[0]) or batch
    return (batches - 1) * batch + last, batch, _specs(inputs), _specs(targets)


def _torch_loader(x: Any) -> Tuple[Optional[int], Optional[int], Any, Any]:
    inputs, targets = _split_element(next(iter(x)))
    batch = getattr(x.batch_sampler, "batch_size", None) or rows(inputs)
    try:
        samples = len(x.dataset)
        if getattr(x, "drop_last", False) and batch:
            samples = len(x) * batch
    except TypeError:
        samples = None
    return samples, batch, _specs(inputs), _specs(targets)


def _split_element(element: Any) -> Tuple[Any, Any]:
    """A batch as ``fit`` unpacks it: x, (x,), (x, y) or (x, y, weights)."""
    if isinstance(element, (tuple, list)) and not hasattr(element, "shape") and len(element):
        return element[0], element[1] if len(element) > 1 else None
    return element, None


def _specs(structure: Any) -> Any:
    if structure is None:
        return None
    if isinstance(structure, dict):
        return {name: _specs(value) for name, value in structure.items()}
    if isinstance(structure, (list, tuple)) and not hasattr(structure, "shape"):
        return type(structure)(_specs(value) for value in structure) if type(structure) in (list, tuple) else None
    shape = getattr(structure, "shape", None)
    if shape is None:
        return None
    sizes: List[Optional[int]] = [None if size is None else int(size) for size in list(shape)[1:]]
    dtype = getattr(structure, "dtype", "float32")
    return Spec(tuple(sizes), getattr(dtype, "name", str(dtype).replace("torch.", "")))


class Spec:
    """Shape without the batch axis, and dtype name, of one tensor. No tuple: it is a leaf in nested structures."""

    def __init__(self, shape: Tuple[Optional[int], ...], dtype: str) -> None:
        self.shape = shape
        self.dtype = dtype


def input_shape(specs: Any) -> Optional[Tuple[int, ...]]:
    """The shape of the largest input; unknown where a size is not static."""
    leaves = list(leaves_of(specs))
    known = [tuple(int(size) for size in leaf.shape if size) for leaf in leaves if None not in leaf.shape]
    return max(known, key=lambda shape: math.prod(shape)) if known and len(known) == len(leaves) else None


def leaves_of(specs: Any) -> List[Spec]:
    """All leaves of a nested structure of specs."""
    if specs is None:
        return []
    if isinstance(specs, Spec):
        return [specs]
    values = list(specs.values()) if isinstance(specs, dict) else list(specs)
    return [leaf for value in values for leaf in leaves_of(value)]
