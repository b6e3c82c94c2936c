"""Networks without weights: parameters are meta tensors, first calls are traced, later ones answered from memory.

What follows a call matters to its cost (a backward pass through a detached tensor costs less), so a call is answered
from memory only where the same calls since the last backward pass have been seen before, with that pass.
"""

import math
import weakref
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

import torch

from . import autocast as torch_autocast
from . import tensors as torch_tensors

Module = torch.nn.Module
_MOST_KEPT = 4
_CHEAP = ("Flatten", "Unflatten", "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d")


class Called(NamedTuple):
    """An outermost call of a network: what identifies it, its FLOPs, whether it was traced just now, its batch, and
    whether it was given the very same tensor before."""

    key: Any
    module: Any
    flops: int
    traced: bool
    rows: Optional[int]
    grad: bool
    again: bool


class Sizes(NamedTuple):
    """Of one traced call: leaf layers that launch work, elements of their outputs, shape of the first input."""

    layers: int
    elements: int
    rows: int
    shape: Tuple[int, ...]
    precision: str


_BASES = [torch.nn.modules.conv._ConvNd, torch.nn.modules.batchnorm._BatchNorm]
_modules: List[Any] = []  # weak references: some modules cannot be hashed while they are made
_counted_by: List[Any] = []
_outputs: Dict[Any, Any] = {}
_flops: Dict[Any, int] = {}
_known: Set[Any] = set()
_given: Dict[int, List[Any]] = {}
calls: List[Called] = []
evaluated: Set[int] = set()  # networks that were called without gradients
sizes: Dict[int, Sizes] = {}
uncertain: Set[int] = set()  # networks that pick elements by values, which are not there
_depth = [0]
_leaves = [0, 0]


def attach(operations: Any) -> None:
    """Make parameters weightless and watch the calls of modules."""
    _weightless_parameters()
    _weightless_layers()
    original_init = Module.__init__

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        original_init(self, *args, **kwargs)
        _modules.append(weakref.ref(self))

    _counted_by[:] = [operations]
    Module.__init__ = __init__
    Module.zero_grad = lambda self, set_to_none=True: None
    watch_calls(Module)


def watch_calls(kind: Any) -> None:
    """Watch the calls of a class of modules that has a ``__call__`` of its own."""
    original_call = kind.__call__

    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _depth[0]:
            return _inner(original_call, self, args, kwargs)
        if next(self.parameters(), None) is None:
            return original_call(self, *args, **kwargs)
        if not _is_initialized(self):
            _initialize(original_call, self, args, kwargs)
        return _outermost(_counted_by[0], original_call, self, args, kwargs)

    kind.__call__ = __call__


def _is_initialized(module: Any) -> bool:
    lazy = getattr(torch.nn.parameter, "UninitializedTensorMixin", ())  # torch 1.8 and newer
    return not any(isinstance(parameter, lazy) for parameter in module.parameters())


def _initialize(original: Any, module: Any, args: Any, kwargs: Any) -> None:
    """Lazy layers learn their sizes from a first call, which belongs to no training step."""
    _depth[0] += 1
    try:
        with torch.no_grad():
            original(module, *args, **kwargs)
    finally:
        _depth[0] -= 1


def _weightless_parameters() -> None:
    parameter = torch.nn.Parameter
    original = parameter.__new__

    def __new__(cls: Any, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(data, torch.Tensor) and not data.is_meta:
            data = torch.empty_like(data, device="meta")
        return original(cls, data, *args, **kwargs)

    parameter.__new__ = __new__


def _weightless_layers() -> None:
    """torch's own layers take a device; that spares filling weights only to drop them."""
    for kind in list(vars(torch.nn).values()) + _BASES:
        if isinstance(kind, type) and issubclass(kind, Module):
            init = vars(kind).get("__init__")
            code = getattr(init, "__code__", None)
            if code is not None and "device" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]:
                setattr(kind, "__init__", _on_meta(init))  # noqa: B010 (no method of this class)


def _on_meta(init: Any) -> Callable[..., None]:
    place = init.__code__.co_varnames.index("device")
    keyword_only = place >= init.__code__.co_argcount

    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        if not keyword_only and len(args) >= place:
            args = args[: place - 1] + ("meta",) + args[place:]
        else:
            kwargs["device"] = "meta"
        init(self, *args, **kwargs)

    vars(__init__)["__wrapped__"] = init
    return __init__


def _inner(original: Any, module: Any, args: Any, kwargs: Any) -> Any:
    before = _leaves[0] + _leaves[1]
    outputs = original(module, *args, **kwargs)
    if before == _leaves[0] + _leaves[1] and type(module).__name__ not in _CHEAP:
        elements = sum(tensor.numel() for tensor in tensors_of(outputs)[:1])
        if elements:
            _leaves[0] += 1
            _leaves[1] += elements
    return outputs


def _outermost(operations: Any, original: Any, module: Any, args: Any, kwargs: Any) -> Any:
    grad = torch.is_grad_enabled()
    given = tensors_of((args, kwargs))
    frozen = sum(1 for parameter in module.parameters() if not parameter.requires_grad)
    key = (id(module), module.training, grad, frozen, precision(module), _signature((args, kwargs)))
    prefix = tuple(call.key for call in calls if call.grad) + (key,)
    rows = batch_rows(module, given)
    again = _was_given(module, given)
    if not grad:
        evaluated.add(id(module))
    remembered = _outputs.get(key)
    if remembered is not None and (not grad or prefix in _known):
        calls.append(Called(key, module, _flops[key], False, rows, grad, again))
        return _rebuilt(remembered)
    operations.saved.leave_out(list(module.parameters()) + list(module.buffers()))
    before, _leaves[:] = operations.total, [0, 0]
    guesses = torch_tensors.guesses[0]
    _depth[0] += 1
    try:
        if not any(module.children()):
            outputs = _inner(original, module, args, kwargs)
        else:
            outputs = original(module, *args, **kwargs)
    finally:
        _depth[0] -= 1
    _flops[key] = operations.total - before
    if torch_tensors.guesses[0] > guesses:
        uncertain.add(id(module))
    calls.append(Called(key, module, _flops[key], True, rows, grad, again))
    shaped = [tensor for tensor in given if tensor.dim()]
    if shaped and rows and id(module) not in sizes:
        shape = tuple(int(size) for size in shaped[0].shape)
        axis = shape.index(rows) if rows in shape else 0
        sizes[id(module)] = Sizes(_leaves[0], _leaves[1], rows, shape[:axis] + shape[axis + 1 :], precision(module))
    _outputs[key] = _pattern(outputs)
    return outputs


def _was_given(module: Any, given: List[Any]) -> bool:
    """Whether a network sees a tensor again that it has seen; tensors are kept, so that none is taken for another."""
    before = _given.setdefault(id(module), [])
    if any(given[0] is one for one in before) if given else False:
        return True
    if given and len(before) < _MOST_KEPT:
        before.append(given[0])
    return False


def remember(keys: Tuple[Any, ...]) -> None:
    """These calls, in this order, have been followed by a backward pass whose cost is known."""
    for end in range(1, len(keys) + 1):
        _known.add(keys[:end])


def forget(keys: Tuple[Any, ...]) -> None:
    """The same calls had another backward pass: trace them again."""
    for end in range(1, len(keys) + 1):
        _known.discard(keys[:end])


def tensors_of(value: Any) -> List[Any]:
    """All tensors in nested arguments or outputs, packed sequences and data classes included."""
    if isinstance(value, torch.Tensor):
        return [value]
    if isinstance(value, dict) or (hasattr(value, "keys") and hasattr(value, "values")):
        value = list(value.values())
    elif hasattr(value, "__dataclass_fields__"):
        value = list(vars(value).values())
    if isinstance(value, (list, tuple)):
        return [tensor for item in value for tensor in tensors_of(item)]
    return []


def _signature(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.dtype, value.requires_grad
    if isinstance(value, dict) or (hasattr(value, "keys") and hasattr(value, "values")):
        return tuple((str(name), _signature(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(_signature(item) for item in value)
    return value if isinstance(value, (bool, int, float, str, type(None))) else id(type(value))


class _Hole(NamedTuple):
    shape: Tuple[int, ...]
    dtype: Any
    grad: bool


def _pattern(outputs: Any) -> Any:
    """The outputs with holes in place of tensors; None for what cannot be rebuilt."""
    try:
        return [_mapped(outputs, lambda tensor: _Hole(tuple(tensor.shape), tensor.dtype, tensor.requires_grad))]
    except TypeError:
        return None


def _rebuilt(pattern: Any) -> Any:
    return _mapped(pattern[0], _filled)


def _filled(hole: Any) -> Any:
    return torch.empty(hole.shape, dtype=hole.dtype, device="meta", requires_grad=hole.grad)


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    if isinstance(value, (torch.Tensor, _Hole)):
        return change(value)
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, dict):
        return type(value)(**{str(name): _mapped(item, change) for name, item in value.items()})
    if type(value) in (list, tuple):
        return type(value)(_mapped(item, change) for item in value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*[_mapped(item, change) for item in value])
    raise TypeError(type(value).__name__)


def batch_rows(module: Any, given: List[Any]) -> Optional[int]:
    """Size of the batch axis of what a network is given; recurrent networks often have it second."""
    shaped = [tensor for tensor in given if tensor.dim()]
    if not shaped:
        return None
    shape = shaped[0].shape
    if len(shape) >= 2 and _sequence_first(module):
        return int(shape[1])
    return int(shape[0])


def _sequence_first(module: Any) -> bool:
    kinds = (torch.nn.RNNBase, torch.nn.MultiheadAttention)
    flags = [inner.batch_first for inner in module.modules() if isinstance(inner, kinds)]
    return bool(flags) and not any(flags)


def precision(module: Any) -> str:
    """What the network computes in now."""
    mixed = {torch.float16: "mixed_float16", torch.bfloat16: "mixed_bfloat16"}
    autocast = torch_autocast.target()
    if autocast is not None:
        return mixed.get(autocast, "float32")
    counts: Dict[Any, int] = {}
    for parameter in module.parameters():
        if parameter.is_floating_point():
            counts[parameter.dtype] = counts.get(parameter.dtype, 0) + parameter.numel()
    return str(max(counts, key=lambda dtype: counts[dtype])).replace("torch.", "") if counts else "float32"


def root_of(module: Any) -> Any:
    """The outermost network that a module is part of."""
    alive = [module for module in (reference() for reference in _modules) if module is not None]
    parents = {id(child): parent for parent in alive for child in parent.children()}
    seen: Set[int] = set()
    while id(module) in parents and id(module) not in seen:
        seen.add(id(module))
        module = parents[id(module)]
    return module


def counts(modules: List[Any]) -> Dict[str, Any]:
    """Parameters of networks, all and trainable, each once."""
    unique = {id(weight): weight for module in modules for weight in _weights(module)}
    sizes = [(math.prod(weight.shape), _is_trained(weight)) for weight in unique.values()]
    return {
        "parameters": sum(size for size, _ in sizes),
        "trainable_parameters": sum(size for size, is_trained in sizes if is_trained),
    }


def _weights(module: Any) -> List[Any]:
    """The parameters of a module; a Keras layer names its own, which PyTorch may know twice, with seeds among them."""
    return list(module.weights if hasattr(module, "trainable_weights") else module.parameters())


def _is_trained(weight: Any) -> bool:
    return bool(weight.requires_grad if isinstance(weight, torch.Tensor) else weight.trainable)


def name(modules: List[Any]) -> Optional[str]:
    """The largest network's name: its known name, else its class; a bare Sequential has none."""
    module = max(modules, key=lambda one: sum(parameter.numel() for parameter in one.parameters()))
    while hasattr(module, "module") and isinstance(module.module, Module):
        module = module.module
    known = getattr(getattr(module, "config", None), "_name_or_path", "")
    if known and "/" not in str(known).strip("/")[1:].split("/", 1)[-1]:
        return str(known)
    return None if type(module).__name__ in ("Sequential", "ModuleList", "ModuleDict") else type(module).__name__
