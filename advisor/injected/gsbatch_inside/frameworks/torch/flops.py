"""Count the FLOPs of every operation on weightless (meta) tensors, forward and backward: 1 MAC = 2 FLOPs.

Only matrix products, convolutions and attention count. What autograd runs in a backward pass is seen as well, so frozen
parts, detached tensors, several networks and recomputation cost what they cost in the job. The size of some results
depends on values that are not there; such an operation gives the largest result that it can.
"""

from typing import Any, Callable, Dict, List, Optional

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from .nested import replaced
from .tensors import Values

aten = torch.ops.aten


def _numel(shape: Any) -> int:
    result = 1
    for size in shape:
        result *= int(size)
    return result


def _product(left: Any, right: Any) -> int:
    return 2 * _numel(left.shape) * int(right.shape[-1])


def _convolution(args: Any, result: Any) -> int:
    data, weight, transposed = args[0], args[1], args[6]
    return 2 * _numel((data if transposed else result).shape) * _numel(weight.shape[1:])


def _convolution_backward(args: Any, _result: Any) -> int:
    gradient, data, weight, transposed, wanted = args[0], args[1], args[2], args[7], args[10]
    return 2 * _numel((data if transposed else gradient).shape) * _numel(weight.shape[1:]) * sum(map(bool, wanted[:2]))


def _attention(args: Any, _result: Any) -> int:
    query, key, value = args[:3]
    pairs = _numel(query.shape[:-1]) * int(key.shape[-2])
    return 2 * pairs * (int(query.shape[-1]) + int(value.shape[-1]))


def _attention_backward(args: Any, result: Any) -> int:
    return 2 * _attention(args[1:], result)


_FORMULAS: Dict[str, Callable[[Any, Any], int]] = {
    "mm": lambda args, result: _product(args[0], args[1]),
    "addmm": lambda args, result: _product(args[1], args[2]),
    "_addmm_activation": lambda args, result: _product(args[1], args[2]),
    "bmm": lambda args, result: _product(args[0], args[1]),
    "baddbmm": lambda args, result: _product(args[1], args[2]),
    "addbmm": lambda args, result: _product(args[1], args[2]),
    "mv": lambda args, result: 2 * _numel(args[0].shape),
    "addmv": lambda args, result: 2 * _numel(args[1].shape),
    "dot": lambda args, result: 2 * _numel(args[0].shape),
    "convolution": _convolution,
    "convolution_backward": _convolution_backward,
}
_ATTENTION = ("flash_attention", "efficient_attention", "cudnn_attention", "fused_attention_overrideable",
              "flash_attention_for_cpu")  # fmt: skip
for _name in _ATTENTION:
    _FORMULAS["_scaled_dot_product_" + _name] = _attention
    _FORMULAS["_scaled_dot_product_" + _name + "_backward"] = _attention_backward


class Operations(TorchDispatchMode):
    """Sees each operation below autograd. ``total`` grows with their FLOPs.

    ``saved`` is told of copied tensors, and ``on_write`` is called with weightless tensors that are changed in place.
    """

    def __init__(self, saved: Any, values: Values) -> None:
        super().__init__()
        self.total = 0
        self.saved = saved
        self.on_write: Optional[Callable[[Any], None]] = None
        self._values = values
        self._formulas = {
            getattr(aten, name): formula for name, formula in _FORMULAS.items() if hasattr(aten, name)
        }  # an older release lacks some

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # torch would import its compiler to keep it away from this class

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tensors = _tensors(args, kwargs)
        if not any(tensor.is_meta for tensor in tensors):
            return func(*args, **kwargs)
        packet = func.overloadpacket
        if self.on_write is not None and func._schema.is_mutable and tensors[0].is_meta:
            self.on_write(tensors[0])
        if packet in (aten._to_copy, aten.copy_, aten._local_scalar_dense, aten.nonzero):
            return self._without_values(packet, func, args, kwargs)
        if packet is aten._pack_padded_sequence and not args[1].is_meta:
            return _packed(*args)
        if packet is aten._pack_padded_sequence_backward:
            return torch.empty([int(size) for size in args[1]], dtype=args[0].dtype, device="meta")
        if any(not tensor.is_meta and tensor.dim() for tensor in tensors):
            if func._schema.is_mutable and isinstance(args[0], torch.Tensor) and not args[0].is_meta:
                return args[0]
            args, kwargs = replaced(args, _as_meta), replaced(kwargs, _as_meta)
        result = func(*args, **kwargs)
        if packet is aten.clone:
            self.saved.copied(args[0], result)
        formula = self._formulas.get(packet)
        if formula is not None:
            self.total += formula(args, result)
        return result

    def _without_values(self, packet: Any, func: Any, args: Any, kwargs: Any) -> Any:
        if packet is aten._local_scalar_dense:
            return 1.0 if args[0].is_floating_point() else 1
        if packet is aten.copy_:
            return args[0]
        if packet is aten.nonzero:
            self._values.guesses += 1
            return torch.empty((args[0].numel(), args[0].dim()), dtype=torch.long, device="meta")
        device = kwargs.get("device")
        if device is not None and torch.device(device).type != "meta":
            return torch.zeros(args[0].shape, dtype=kwargs.get("dtype") or args[0].dtype)
        copy = func(*args, **kwargs)
        self.saved.copied(args[0], copy)
        return copy


def _packed(data: Any, lengths: Any, batch_first: bool) -> Any:
    """A packed sequence's data, of the size that the real lengths give it, and its batch sizes."""
    longest = int(lengths.max())
    batch_sizes = (lengths[None, :] > torch.arange(longest)[:, None]).sum(1)
    return torch.empty((int(lengths.sum()),) + tuple(data.shape[2:]), dtype=data.dtype, device="meta"), batch_sizes


def _tensors(args: Any, kwargs: Any) -> List[Any]:
    found = []
    for value in args if not kwargs else list(args) + list(kwargs.values()):
        if isinstance(value, torch.Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)):
            found += [item for item in value if isinstance(item, torch.Tensor)]
    return found


def _as_meta(tensor: Any) -> Any:
    return tensor if tensor.is_meta else torch.empty_like(tensor, device="meta")
