"""Loaders in the dry run: a few real batches, given again and again, and the samples of a whole pass.

No worker process is started. A pass keeps its full length, so that step counts, learning rate schedules and gradient
accumulation come out as in the job; ``Loops`` passes over the batches that need not be run.
"""

import itertools
import time
import types
from typing import Any, Callable, Iterator, List, Optional, Tuple

import torch

from ...dry_run.batches import Pass, Source
from ...dry_run.session import DryRun
from .nested import replaced, tensors_of
from .tensors import as_meta

_REAL_BATCHES = 3
_REAL_S = 1.0
_LARGE_ELEMENTS = 1 << 20
_SAMPLER_S = 1.0
_MOST_OF_A_SAMPLER = 1 << 22
_WITHOUT_WORKERS = {"num_workers": 0, "pin_memory": False, "persistent_workers": False, "prefetch_factor": None,
                    "multiprocessing_context": None, "timeout": 0}  # fmt: skip
_FIRST_OF_WORKERS = 5  # the place of ``num_workers`` among DataLoader's arguments


class Loader(Source):
    """A DataLoader as a source. ``is_endless``: its sampler goes on after what its length says."""

    def __init__(self, loader: Any, workers: int) -> None:
        batches = _length(loader)
        samples, self.is_endless = _samples(loader, batches)
        dataset = getattr(loader, "dataset", None)
        super().__init__(
            samples=samples,
            batches=batches,
            batch=getattr(loader, "batch_size", None),
            stock=_length(dataset),
            workers=workers,
            identity=id(dataset),
            published=_is_marked(dataset, "_gsbatch_published"),
            made_up=_is_marked(dataset, "_gsbatch_made_up"),
        )
        self.drawn: List[Any] = []


class Loaders:
    """The script's loaders and their passes."""

    def __init__(self, session: DryRun, next_batch: Callable[[], None]) -> None:
        self._session = session
        self._ledger = session.ledger
        self._next_batch = next_batch

    def attach(self) -> None:
        """Wrap DataLoader's constructor and iteration."""
        kind, loaders = torch.utils.data.DataLoader, self
        original_init, original_iter = kind.__init__, kind.__iter__

        def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
            place = _FIRST_OF_WORKERS
            workers = kwargs.get("num_workers", args[place] if len(args) > place else 0)
            if len(args) > place:
                args = args[:place] + (0,) + args[place + 1 :]
            kwargs.update({name: value for name, value in _WITHOUT_WORKERS.items() if name in kwargs})
            original_init(self, *args, **kwargs)
            self._gsbatch_workers = int(workers or 0)

        def __iter__(self: Any) -> Iterator[Any]:
            one = loaders._ledger.begin(loaders.known(self))
            return _Batches(one, loaders._read(one, lambda: original_iter(self)))

        kind.__init__ = __init__
        kind.__iter__ = __iter__
        self._session.loops.ask_left(lambda loop, things: self._left(loop, things, __iter__))

    def known(self, loader: Any) -> Loader:
        """What is known of this DataLoader."""
        found: Optional[Loader] = vars(loader).get("_gsbatch_loader")
        if found is None:
            found = Loader(loader, getattr(loader, "_gsbatch_workers", 0))
            vars(loader)["_gsbatch_loader"] = found
        return found

    def evaluated(self, loader: Any, passes: int) -> None:
        """A trainer reads a loader so many times without training."""
        if isinstance(loader, torch.utils.data.DataLoader):
            self._ledger.passed(self.known(loader), passes)

    def _left(self, loop: Any, things: Any, original: Any) -> Optional[int]:
        """Batches that are left of the pass that a loop goes over: over a loader itself, not over a part of it."""
        if isinstance(things, types.GeneratorType) and things.gi_frame is not None:
            things = things.gi_frame.f_locals.get("self")  # whose __iter__ it is
        is_loader = isinstance(things, torch.utils.data.DataLoader)
        if is_loader and type(things).__module__ == "accelerate.data_loader":  # its length says when it ends
            length = _length(things)
            return None if length is None else length - int(loop.iterations)
        if is_loader and type(things).__iter__ is original:
            source: Source = self.known(things)
        elif type(things) is _Batches:
            source = things.one.source
        else:
            return None
        if source.batches is None or getattr(source, "is_endless", False):
            return None
        return int(source.batches) - int(loop.iterations)

    def _read(self, one: Pass, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        source: Any = one.source
        seen = 0
        try:
            for place, batch in enumerate(self._drawn_then_again(source, start)):
                rows = rows_of(batch) or 1
                if source.batch is None:
                    source.batch = rows
                count = _rows_at(source, place, rows)
                seen += count
                if self._ledger.read(one, count, rows):
                    self._next_batch()
                yield batch
            if source.samples is None and not self._session.tally.incomplete:
                source.samples = seen
        finally:
            self._ledger.end(one)

    def _drawn_then_again(self, source: Loader, start: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        """Real batches at first, the same ones again later; a stream of unknown length is read to its end once."""
        if source.batches is None and source.samples is None:
            yield from start()
            return
        given, until = 0, time.process_time() + _REAL_S
        if not source.drawn:
            for batch in start():
                source.drawn.append(batch)
                yield batch
                if len(source.drawn) >= _REAL_BATCHES or time.process_time() > until:
                    break
            given = len(source.drawn)
        if not source.drawn:
            return
        batches = source.batches
        if batches is None:
            batches = -(-(source.samples or 0) // (source.batch or 1))
        again = [replaced(batch, _light) for batch in source.drawn]
        for place in itertools.count(given) if source.is_endless else range(given, batches):
            yield again[place % len(again)]


class _Batches:
    """An iterator over the batches of a pass."""

    def __init__(self, one: Pass, batches: Iterator[Any]) -> None:
        self.one = one
        self._batches = batches

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._batches)


def _light(tensor: Any) -> Any:
    """A large tensor without its values: a script would spend time to prepare them for its network once more."""
    return as_meta(tensor) if type(tensor) is torch.Tensor and tensor.numel() > _LARGE_ELEMENTS else tensor


def _is_marked(dataset: Any, mark: str) -> bool:
    """Whether a data set, or what it is a part of, is marked."""
    for _depth in range(8):
        if dataset is None or getattr(dataset, mark, False):
            return dataset is not None
        dataset = getattr(dataset, "dataset", None)
    return False


def _rows_at(source: Loader, place: int, rows: int) -> int:
    """Samples of a batch; the last one of a pass may be shorter than the one that stands for it."""
    if source.samples is None or source.batch is None or source.batches is None:
        return rows
    if place % source.batches == source.batches - 1:
        return max(int(source.samples) - (source.batches - 1) * int(source.batch), 1)
    return int(source.batch)


def _length(loader: Any) -> Optional[int]:
    try:
        return len(loader)
    except (TypeError, NotImplementedError, AttributeError):
        return None


def _samples(loader: Any, batches: Optional[int]) -> Tuple[Optional[int], bool]:
    """Samples of a pass, and whether the sampler goes on after it."""
    if batches is None:
        return None, False
    sampler = getattr(loader, "batch_sampler", None)
    if sampler is None or isinstance(loader.dataset, torch.utils.data.IterableDataset):
        dataset = _length(loader.dataset)
        size = getattr(loader, "batch_size", None)
        if dataset is None:
            return (None if size is None else batches * size), False
        return (batches * size if size and getattr(loader, "drop_last", False) else dataset), False
    size, inner = getattr(sampler, "batch_size", None), getattr(sampler, "sampler", None)
    if type(sampler) is torch.utils.data.BatchSampler and inner is not None and size:
        return (batches * int(size) if sampler.drop_last else _length(inner)), False
    return _by_its_sampler(sampler, batches)


def _by_its_sampler(sampler: Any, batches: int) -> Tuple[Optional[int], bool]:
    """The same for a sampler of the author's own: it is gone through, as far as there is time."""
    samples, until = 0, time.process_time() + _SAMPLER_S
    try:
        for place, places in enumerate(sampler):
            if place >= batches:
                return samples, True
            samples += len(places)
            if samples > _MOST_OF_A_SAMPLER or time.process_time() > until:
                return None, False
    except TypeError:
        return None, False
    return samples, False


def rows_of(batch: Any) -> Optional[int]:
    """Samples in a batch: the length of its first tensor's first axis."""
    for tensor in tensors_of(batch):
        if tensor.dim():
            return int(tensor.shape[0])
    if hasattr(batch, "num_graphs"):
        return int(batch.num_graphs)
    plain = isinstance(batch, (list, tuple)) and batch and isinstance(batch[0], (str, list, dict))
    return len(batch) if plain else None
