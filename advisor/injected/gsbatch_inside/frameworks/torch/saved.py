"""Bytes that autograd keeps between a forward pass and its backward pass: most of the GPU memory of a training.

Every storage counts once, however many saved tensors are views of it. Weights, buffers and their copies in another
precision do not count, because they are kept whatever the batch is. What a checkpoint computes again in the backward
pass counts as its largest segment. Attention and dropout of weightless tensors would keep more than they do on a GPU;
they are replaced by versions that keep the same.
"""

import contextlib
from typing import Any, Callable, Dict, Iterable, Iterator, List

import torch

_TELLS_STORAGES_APART = hasattr(torch.Tensor, "untyped_storage")


class SavedTensors:
    """Sees each tensor that autograd saves, while entered. ``kept`` are the bytes that are alive, each storage once."""

    def __init__(self) -> None:
        self.kept = 0
        self._most = 0
        self._largest_segment = 0
        self._places: Dict[int, int] = {}  # how many saved tensors lie in a storage
        self._weights: Dict[int, Any] = {}
        self._hooks: List[Any] = []

    def __enter__(self) -> "SavedTensors":
        hooks = torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: _Saved(self, tensor), lambda saved: saved.tensor
        )
        hooks.__enter__()
        self._hooks.append(hooks)
        return self

    def __exit__(self, *exc: Any) -> None:
        self._hooks.pop().__exit__(*exc)

    def watch(self) -> None:
        """Count from now on, checkpoints as well."""
        if not _TELLS_STORAGES_APART:
            return
        graph = torch.autograd.graph
        original_init, original_disable = graph.saved_tensors_hooks.__init__, graph.disable_saved_tensors_hooks

        def __init__(hooks: Any, pack: Any, unpack: Any) -> None:
            is_checkpoint = type(hooks).__name__ == "_checkpoint_hook"
            original_init(hooks, self._in_a_segment(pack) if is_checkpoint else pack, unpack)

        @contextlib.contextmanager
        def disable_saved_tensors_hooks(message: str) -> Iterator[None]:
            if not self._hooks:
                with original_disable(message):
                    yield
                return
            self.__exit__(None, None, None)  # torch.func allows no hooks
            try:
                with original_disable(message):
                    yield
            finally:
                self.__enter__()

        graph.saved_tensors_hooks.__init__ = __init__
        graph.disable_saved_tensors_hooks = disable_saved_tensors_hooks
        self.__enter__()

    def leave_out(self, tensors: Iterable[Any]) -> None:
        """Do not count what lies in these tensors' storages."""
        for tensor in tensors:
            storage = _storage(tensor)
            if storage is not None:
                self._weights[storage._cdata] = storage  # held: a freed storage's address may be used again

    def is_left_out(self, tensor: Any) -> bool:
        """Whether a tensor is a weight, or a copy of one."""
        storage = _storage(tensor)
        return storage is not None and storage._cdata in self._weights

    def copied(self, original: Any, copy: Any) -> None:
        """A copy of a weight in another precision is left out too."""
        if self.is_left_out(original):
            self.leave_out([copy])

    def most_during(self, run: Callable[[], None]) -> int:
        """The most bytes that were kept at once while a backward pass runs; one may run within another."""
        before, self._most = self._most, self.kept
        try:
            run()
        finally:
            found = self._most + self._largest_segment
            self._most, self._largest_segment = max(before, found), 0
        return found

    def _in_a_segment(self, pack: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """What a checkpoint throws away and makes again: added up for each segment."""
        storages: Dict[int, Any] = {}

        def pack_and_count(tensor: Any) -> Any:
            storage = _storage(tensor)
            if storage is not None and storage._cdata not in self._places and not self.is_left_out(tensor):
                storages[storage._cdata] = storage
                size = sum(one.nbytes() for one in storages.values())
                self._largest_segment = max(self._largest_segment, size)
            return pack(tensor)

        return pack_and_count

    def keep(self, place: int, size: int) -> None:
        """One more saved tensor lies in a storage of so many bytes."""
        self._places[place] = self._places.get(place, 0) + 1
        if self._places[place] == 1:
            self.kept += size
            self._most = max(self._most, self.kept)

    def drop(self, place: int, size: int) -> None:
        """A saved tensor is needed no more."""
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]
            self.kept -= size


class _Saved:
    """A tensor that autograd holds until its backward pass has used it."""

    __slots__ = ("counter", "place", "size", "tensor")

    def __init__(self, counter: SavedTensors, tensor: Any) -> None:
        self.tensor, self.counter, self.place = tensor, counter, 0
        storage = _storage(tensor)
        if storage is not None and not counter.is_left_out(tensor):
            self.place, self.size = storage._cdata, storage.nbytes()
            counter.keep(self.place, self.size)

    def __del__(self) -> None:
        if self.place:
            self.counter.drop(self.place, self.size)


def _storage(tensor: Any) -> Any:
    """The storage of a tensor; None for sparse tensors, for those inside torch.func, and on PyTorch 1."""
    if not _TELLS_STORAGES_APART:
        return None
    with torch._C.DisableTorchFunction():
        try:
            return tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):
            return None


class _Keep(torch.autograd.Function):
    """The first tensor unchanged; the others are saved for its backward pass."""

    @staticmethod
    def forward(ctx: Any, result: Any, *tensors: Any) -> Any:
        ctx.save_for_backward(*tensors)
        ctx.others = len(tensors)
        return result.view_as(result)

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        return (gradient,) + (None,) * ctx.others


def keep(result: Any, *tensors: Any) -> Any:
    """The result, with a backward pass that needs these tensors."""
    with torch._C.DisableTorchFunction():  # checkpoints compare devices; scripts are shown pretended ones
        return _Keep.apply(result, *[tensor.detach() for tensor in tensors])


def as_on_a_gpu() -> None:
    """Let attention and dropout of weightless tensors keep what they keep on a GPU."""
    functional = torch.nn.functional
    if hasattr(functional, "scaled_dot_product_attention"):
        functional.scaled_dot_product_attention = _attention(functional.scaled_dot_product_attention)
    functional.dropout = _dropout(functional.dropout)


def _attention(original: Callable[..., Any]) -> Callable[..., Any]:
    """A GPU's kernels keep queries, keys, values, result and a number a row, not the matrix of all pairs."""

    def scaled_dot_product_attention(query: Any, key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
        if not (query.is_meta and torch.is_grad_enabled()):
            return original(query, key, value, *args, **kwargs)
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, lambda tensor: tensor):
            result = original(query, key, value, *args, **kwargs)
            result = _laid_out(result, query)
        rows = torch.empty(result.shape[:-1], dtype=torch.float32, device="meta")
        return keep(result, result, rows, *[tensor.detach().to(result.dtype) for tensor in (query, key, value)])

    return scaled_dot_product_attention


def _laid_out(result: Any, query: Any) -> Any:
    """The result with its axes in memory as those of the queries: the next layer then keeps the same storage."""
    order = sorted(range(query.dim()), key=query.stride, reverse=True)
    return result.permute(order).contiguous().permute([order.index(axis) for axis in range(query.dim())])


def _dropout(original: Callable[..., Any]) -> Callable[..., Any]:
    """A GPU's kernel keeps a mask of one byte an element."""

    def dropout(input: Any, p: float = 0.5, training: bool = True, inplace: bool = False) -> Any:  # noqa: A002
        if input.is_meta and training and not inplace and 0 < p < 1 and torch.is_grad_enabled():
            return torch.native_dropout(input, p, True)[0]
        return original(input, p, training, inplace)

    return dropout
