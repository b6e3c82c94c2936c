"""Loaders in the dry run: a few real batches, given again and again, and how many samples a whole pass has.

No worker is started. Passes have their full length (loops.py passes over what need not be run), so that step counts,
schedules and accumulation come out as they will.
"""

import time
from typing import Any, Callable, Iterator, List, Optional

import torch

from ...dry_run import loops, tally
from . import model as torch_model

_REAL_BATCHES = 3
_REAL_S = 1.0
_passes: List["Pass"] = []
_on_batch: List[Callable[[], None]] = []
_serials = iter(range(1 << 62))


class Loader:
    """What is known of a DataLoader: ``batch`` and ``samples`` of one pass; None: not known before it is read."""

    def __init__(self, loader: Any, workers: int) -> None:
        self.serial = next(_serials)
        self.workers = workers
        self.drawn: List[Any] = []
        self.batches = _length(loader)
        self.batch = getattr(loader, "batch_size", None)
        self.samples = _samples(loader, self.batches)
        self.dataset = id(getattr(loader, "dataset", None))
        self.passes = 0
        self.training_passes = 0
        self.most_seen = 0


class Pass:
    """One pass over a loader. ``rows`` are the samples that the current batch has, ``rows_given`` those of the batch
    that stands for it here; ``counted`` is whether it has been trained on."""

    def __init__(self, loader: Loader) -> None:
        self.loader = loader
        self.yielded = 0
        self.rows = 0
        self.rows_given = 0
        self.counted = False
        self.training = False
        self.batches_read = 0
        self.loop: Any = None


def attach() -> None:
    """Wrap DataLoader's constructor and iteration."""
    kind = torch.utils.data.DataLoader
    original_init, original_iter = kind.__init__, kind.__iter__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        workers = kwargs.get("num_workers", args[5] if len(args) > 5 else 0)
        if len(args) > 5:
            args = args[:5] + (0,) + args[6:]
        for name, value in (("num_workers", 0), ("pin_memory", False), ("persistent_workers", False),
                            ("prefetch_factor", None), ("multiprocessing_context", None), ("timeout", 0)):  # fmt: skip
            if name in kwargs:
                kwargs[name] = value
        original_init(self, *args, **kwargs)
        self._gsbatch_workers = int(workers or 0)

    def __iter__(self: Any) -> Iterator[Any]:
        loader = known(self)
        return _batches(loader, lambda: original_iter(self))

    kind.__init__ = __init__
    kind.__iter__ = __iter__
    loops.ask_left(_left)


def _left(loop: Any) -> Optional[int]:
    """Batches that are left of the pass that a loop goes over."""
    for one in reversed(_passes):
        if one.loop is loop and one.loader.batches is not None and one.batches_read == loop.done:
            return one.loader.batches - one.batches_read
    return None


def known(loader: Any) -> Loader:
    """What is known of this DataLoader."""
    found: Optional[Loader] = vars(loader).get("_gsbatch_loader")
    if found is None:
        found = Loader(loader, getattr(loader, "_gsbatch_workers", 0))
        vars(loader)["_gsbatch_loader"] = found
        loaders.append(found)
    return found


loaders: List[Loader] = []


def current() -> Optional[Pass]:
    """The pass whose batch is being worked on: the last one read of those that have not ended."""
    return _passes[-1] if _passes else None


def on_batch(callback: Callable[[], None]) -> None:
    """Call back whenever a batch is read."""
    _on_batch.append(callback)


def _batches(loader: Loader, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    one = Pass(loader)
    loader.passes += 1
    source = _drawn_then_again(loader, start)
    try:
        for place, batch in enumerate(source):
            rows = rows_of(batch)
            if loader.batch is None:
                loader.batch = rows
            one.rows_given = rows or 1
            one.rows = _rows_at(loader, place, rows or 1)
            one.yielded += one.rows
            one.batches_read += 1
            nest = loops.nest()
            one.loop = one.loop or (nest[-1] if nest else None)
            one.counted = False
            if one in _passes:
                _passes.remove(one)
            _passes.append(one)
            for callback in _on_batch:
                callback()
            yield batch
        if loader.samples is None and not tally.incomplete():
            loader.samples = one.yielded
    finally:
        loader.most_seen = max(loader.most_seen, one.yielded)
        if one in _passes:
            _passes.remove(one)


def _drawn_then_again(loader: Loader, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
    """Real batches at first, the same ones again later; a stream of unknown length is read to its end once."""
    if loader.batches is None and loader.samples is None:
        yield from start()
        return
    until = time.process_time() + _REAL_S
    if not loader.drawn:
        for batch in start():
            loader.drawn.append(batch)
            yield batch
            if len(loader.drawn) >= _REAL_BATCHES or time.process_time() > until:
                break
        given = len(loader.drawn)
    else:
        given = 0
    if not loader.drawn:
        return
    batches = loader.batches
    if batches is None:
        batches = -(-(loader.samples or 0) // (loader.batch or 1))
    for place in range(given, batches):
        yield loader.drawn[place % len(loader.drawn)]


def _rows_at(loader: Loader, place: int, rows: int) -> int:
    """Samples of a batch; the last one of a pass may be shorter than the one that stands for it."""
    if loader.samples is None or loader.batch is None or loader.batches is None:
        return rows
    if place == loader.batches - 1:
        return max(int(loader.samples) - place * int(loader.batch), 1)
    return int(loader.batch)


def _length(loader: Any) -> Optional[int]:
    try:
        return len(loader)
    except (TypeError, NotImplementedError):
        return None


def _samples(loader: Any, batches: Optional[int]) -> Optional[int]:
    if batches is None:
        return None
    sampler = getattr(loader, "batch_sampler", None)
    if sampler is None or isinstance(loader.dataset, torch.utils.data.IterableDataset):
        dataset = _length(loader.dataset)
        size = getattr(loader, "batch_size", None)
        if dataset is None:
            return None if size is None else batches * size
        return batches * size if size and getattr(loader, "drop_last", False) else dataset
    size, inner = getattr(sampler, "batch_size", None), getattr(sampler, "sampler", None)
    if type(sampler) is torch.utils.data.BatchSampler and inner is not None and size:
        return batches * int(size) if sampler.drop_last else _length(inner)
    try:
        return sum(len(places) for places in sampler)  # the author's own sampler: only it knows
    except TypeError:
        return None


def rows_of(batch: Any) -> Optional[int]:
    """Samples in a batch: the length of its first tensor's first axis."""
    for tensor in torch_model.tensors_of(batch):
        if tensor.dim():
            return int(tensor.shape[0])
    if hasattr(batch, "num_graphs"):
        return int(batch.num_graphs)
    plain = isinstance(batch, (list, tuple)) and batch and isinstance(batch[0], (str, list, dict))
    return len(batch) if plain else None
