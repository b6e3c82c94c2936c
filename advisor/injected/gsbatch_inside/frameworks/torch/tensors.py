"""Let the script mix its real data with weightless (meta) tensors, and read numbers from them.

In a dry run, parameters and everything computed from them have no values: such tensors are on torch's meta device.
Every torch function that the script calls passes through here. Devices that are not in this machine are taken as the
CPU, and real tensors become meta where they meet a meta tensor. Numbers read from a meta tensor are plausible: floats
fall slowly, as losses do.
"""

from typing import Any, Callable, Dict, List

import torch
from torch.overrides import TorchFunctionMode

from . import autocast as torch_autocast
from .nested import replaced, tensors_of

Tensor = torch.Tensor
_FINITE = {torch.isfinite: True, torch.isnan: False, torch.isinf: False, Tensor.isfinite: True, Tensor.isnan: False,
           Tensor.isinf: False}  # fmt: skip
_ORDER = frozenset({
    Tensor.__lt__, Tensor.__gt__, Tensor.__le__, Tensor.__ge__, torch.lt, torch.gt, torch.le, torch.ge, Tensor.lt,
    Tensor.gt, Tensor.le, Tensor.ge,
})  # fmt: skip
_SELF = frozenset({Tensor.pin_memory, Tensor.share_memory_, Tensor.record_stream})
_MOVES = frozenset({Tensor.cuda, Tensor.cpu})
_OF_UNKNOWN_LENGTH = frozenset({torch.masked_select, Tensor.masked_select, torch.unique, Tensor.unique})
_EQUAL = frozenset({torch.equal, torch.allclose, Tensor.equal, Tensor.allclose})
# A tensor that a script makes up is not worth its memory above this size: it gets no values either.
_LARGE_ELEMENTS = 1 << 24
_FACTORIES = frozenset({torch.randn, torch.rand, torch.randint, torch.zeros, torch.ones, torch.empty, torch.full})
# These read lengths or batch sizes, which are real even where the data are weightless.
_NEED_LENGTHS = frozenset({"_pack_padded_sequence", "_pad_packed_sequence"})
# These take class numbers as targets.
_WITH_CLASSES = frozenset({"cross_entropy", "nll_loss", "nll_loss_nd", "cross_entropy_loss"})


class Values:
    """Numbers in place of values that are not there.

    ``guesses`` counts sizes that depend on values and were made up. ``on_gpu`` is whether the script has moved anything
    to a GPU.
    """

    def __init__(self) -> None:
        self.reads = 0
        self.guesses = 0
        self.on_gpu = False

    def plausible(self, tensor: Any) -> Any:
        """One number."""
        if tensor.dtype is torch.bool:
            return True
        if not tensor.is_floating_point():
            return 1
        self.reads += 1
        return 0.7 / (1 + 0.0001 * self.reads)

    def answers(self) -> Dict[Any, Callable[..., Any]]:
        """What functions answer that read values."""
        plausible = self.plausible
        return {
            Tensor.item: plausible,
            Tensor.__float__: lambda tensor: float(plausible(tensor)),
            Tensor.__int__: lambda tensor: int(plausible(tensor)),
            Tensor.__index__: lambda tensor: int(plausible(tensor)),
            Tensor.__bool__: lambda tensor: True,
            Tensor.tolist: lambda tensor: plausible(tensor) if tensor.dim() == 0 else _nested(tuple(tensor.shape)),
            Tensor.numpy: lambda tensor, *args, **kwargs: _zeros_array(tensor),
            Tensor.__array__: lambda tensor, *args, **kwargs: _zeros_array(tensor),
            Tensor.__format__: lambda tensor, spec: (
                format(plausible(tensor), spec) if tensor.numel() == 1 else "tensor of %s" % (tuple(tensor.shape),)
            ),
            Tensor.__repr__: lambda tensor, *args, **kwargs: "tensor(shape=%s)" % (tuple(tensor.shape),),
            Tensor.device.__get__: lambda tensor, *args: (
                torch.device("cuda", 0) if self.on_gpu else torch.device("cpu")
            ),
            Tensor.is_cuda.__get__: lambda tensor, *args: self.on_gpu,
            Tensor.data_ptr: lambda tensor: id(tensor),
            Tensor.is_pinned: lambda tensor, *args: False,
        }


def is_device(value: Any) -> bool:
    """Whether an argument names a device."""
    return isinstance(value, torch.device) or (
        isinstance(value, str) and value.split(":")[0] in ("cuda", "cpu", "mps", "xpu", "hip")
    )


def elsewhere(device: Any) -> bool:
    """Whether a device is one of those that are pretended."""
    if isinstance(device, int) and not isinstance(device, bool):
        return True
    return is_device(device) and torch.device(device).type not in ("cpu", "meta")


def as_meta(value: Any) -> Any:
    """The same structure with every real tensor as a meta one."""
    return replaced(value, _meta_tensor)


def _meta_tensor(tensor: Any) -> Any:
    if tensor.is_meta or tensor.layout is not torch.strided:
        return tensor
    if tensor.requires_grad:
        return tensor.to("meta")
    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")


def _kinds(values: Any, found: List[bool]) -> List[bool]:
    """[a meta tensor is there, a real one is there]."""
    for value in values:
        if isinstance(value, Tensor):
            found[0 if value.is_meta else 1] = True
        elif type(value) in (list, tuple):
            _kinds(value, found)
        elif type(value) is dict:
            _kinds(value.values(), found)
    return found


def _zeros_array(tensor: Any) -> Any:
    import numpy

    dtype = torch.float32 if tensor.dtype is torch.bfloat16 else tensor.dtype
    return numpy.zeros(tuple(tensor.shape), str(dtype).replace("torch.", ""))


def _nested(shape: Any) -> Any:
    return [_nested(shape[1:]) for _ in range(shape[0])] if len(shape) else 0


def _asked_elements(args: Any, kwargs: Any) -> int:
    sizes = [value for value in [*args, kwargs.get("size")] if isinstance(value, (tuple, list))]
    elements = 1
    for size in sizes[0] if sizes else args:
        if isinstance(size, int):
            elements *= max(size, 1)
    return elements


class Functions(TorchFunctionMode):
    """Sees each torch function that Python code calls. ``doubt`` takes why one fails on weightless tensors."""

    def __init__(self, values: Values, doubt: Callable[[str], None]) -> None:
        super().__init__()
        self._values = values
        self._doubt = doubt
        self._answers = values.answers()

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs) if kwargs else {}
        if func in _SELF:
            return args[0]
        if func in _MOVES:
            self._values.on_gpu |= func is Tensor.cuda
            return args[0]
        if func is Tensor.to:
            return self._to(args, kwargs)
        if elsewhere(kwargs.get("device")):
            kwargs["device"] = "cpu"
        if func in _FACTORIES and _asked_elements(args, kwargs) > _LARGE_ELEMENTS:
            kwargs = {name: value for name, value in kwargs.items() if name != "generator"}
            kwargs["device"] = "meta"
        has_meta, has_real = _kinds(args, [False, False])
        if kwargs:
            has_meta, has_real = _kinds(kwargs.values(), [has_meta, has_real])
        if not has_meta:
            return func(*args, **kwargs)
        return self._on_meta(func, args, kwargs, has_real)

    def _on_meta(self, func: Any, args: Any, kwargs: Any, has_real: bool) -> Any:
        answer = self._answers.get(func)
        if answer is not None and isinstance(args[0], Tensor) and args[0].is_meta:
            return answer(*args, **kwargs)
        if func in _FINITE:
            return torch.full((), _FINITE[func]).expand(args[0].shape)
        if func in _EQUAL:
            return True
        if func in _ORDER and all(not isinstance(value, Tensor) or value.numel() == 1 for value in args[:2]):
            plausible = self._values.plausible
            args = [plausible(value) if isinstance(value, Tensor) and value.is_meta else value for value in args]
            return func(*[torch.tensor(value) if isinstance(value, (int, float)) and place == 0 else value
                          for place, value in enumerate(args)])  # fmt: skip
        if func in _OF_UNKNOWN_LENGTH:
            self._values.guesses += 1
            return as_meta(args[0]).reshape(-1)
        return self._computed(func, args, kwargs, has_real)

    def _computed(self, func: Any, args: Any, kwargs: Any, has_real: bool) -> Any:
        """What a function gives whose shape does not depend on values."""
        if func is Tensor.__getitem__ or func is Tensor.__setitem__:
            args = (args[0], self._places(args[0], args[1])) + tuple(args[2:])
        if has_real and getattr(func, "__name__", "") not in _NEED_LENGTHS:
            args, kwargs = as_meta(tuple(args)), as_meta(kwargs)
        args, kwargs = torch_autocast.cast(func, tuple(args), kwargs)
        if getattr(func, "__name__", "") in _WITH_CLASSES:
            args, kwargs = _with_whole_classes(args, kwargs)
        try:
            return func(*args, **kwargs)
        except (NotImplementedError, RuntimeError) as exc:
            return self._on_zeros(func, args, kwargs, exc)

    def _on_zeros(self, func: Any, args: Any, kwargs: Any, mistake: Exception) -> Any:
        """The result of a function that fails on weightless tensors: called with zeros, then made weightless."""
        name = getattr(func, "__name__", "")
        tensors = tensors_of((args, kwargs))
        try:
            if name.endswith("_") or sum(tensor.numel() for tensor in tensors) > _LARGE_ELEMENTS:
                raise mistake
            with torch.no_grad():
                result = func(*replaced(args, _zeros), **replaced(kwargs, _zeros))
        except Exception:
            self._doubt("%s failed on tensors without values: %s" % (name, str(mistake).split("\n")[0][:120]))
            raise mistake from None
        self._values.guesses += 1
        inputs = [one for one in tensors if one.requires_grad and one.is_floating_point()]
        result = as_meta(result)
        if isinstance(result, Tensor) and result.is_floating_point() and inputs and torch.is_grad_enabled():
            result = result + sum(one.sum() for one in inputs).to(result.dtype) * 0
        return result

    def _places(self, tensor: Any, index: Any) -> Any:
        """An index whose masks are the places that they pick: of a real mask those, of a meta one all."""
        parts = index if isinstance(index, tuple) else (index,)
        if not any(isinstance(part, Tensor) and part.dtype is torch.bool for part in parts):
            return index
        places: List[Any] = []
        for part in parts:
            if not isinstance(part, Tensor) or part.dtype is not torch.bool:
                places.append(part)
            elif part.is_meta:
                self._values.guesses += 1
                places += [torch.empty(part.numel(), dtype=torch.long, device="meta") for _ in range(part.dim())]
            else:
                places += list(part.nonzero(as_tuple=True))
        return tuple(places)

    def _to(self, args: Any, kwargs: Any) -> Any:
        """``Tensor.to`` without its device: everything stays where it is."""
        device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
        other = kwargs.pop("other", None)
        for value in args[1:]:
            if isinstance(value, Tensor):
                other = value
            elif isinstance(value, torch.dtype):
                dtype = value
            elif device is None and (is_device(value) or type(value) is int):
                device = value
        if elsewhere(device):
            self._values.on_gpu = True
        if is_device(device) and torch.device(device).type == "meta":
            return args[0].to("meta")
        if dtype is None and other is not None:
            dtype = other.dtype
        return args[0] if dtype is None or dtype is args[0].dtype else args[0].to(dtype)


def _zeros(tensor: Any) -> Any:
    return torch.zeros(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor


def _with_whole_classes(args: Any, kwargs: Any) -> Any:
    """Targets of type uint8 as int64: PyTorch's kernels take bytes, its versions for meta tensors do not."""
    whole = lambda one: one.long() if isinstance(one, Tensor) and one.dtype is torch.uint8 else one
    args = tuple(whole(one) if place == 1 else one for place, one in enumerate(args))
    return args, {name: whole(one) if name == "target" else one for name, one in kwargs.items()}
