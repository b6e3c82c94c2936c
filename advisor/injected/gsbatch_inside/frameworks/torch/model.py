"""Networks without weights: parameters are meta tensors, first calls are traced, later ones are answered from memory.

The cost of a call depends on what follows it: a backward pass through a detached tensor costs less. So a call is
answered from memory only if the same calls since the last backward pass, and that pass, have been seen before.
"""

import contextlib
import functools
import math
import sys
import weakref
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

import torch

from ...dry_run.session import DryRun
from . import autocast as torch_autocast
from .flops import Operations
from .nested import main_inputs, pattern, rebuilt, signature, tensors_of
from .tensors import Values

Module = torch.nn.Module
_MOST_KEPT = 4
_CHEAP = ("Flatten", "Unflatten", "Identity", "Dropout", "Dropout1d", "Dropout2d", "Dropout3d")
_BASES = (torch.nn.modules.conv._ConvNd, torch.nn.modules.batchnorm._BatchNorm)


class Called(NamedTuple):
    """An outermost call of a network."""

    key: Any  # what identifies the call: the network, its state and the shapes of its arguments
    module: Any
    flops: int
    traced: bool  # just now, not answered from memory
    rows: Optional[int]  # samples in the batch
    grad: bool
    again: bool  # whether the network was given the very same tensor before


class Traced(NamedTuple):
    """One traced call."""

    module: Any
    flops: int
    grad: bool
    rows: Optional[int]
    layers: int  # leaf layers that launch work
    elements: int  # of the outputs of these layers
    shape: Optional[Tuple[int, ...]]  # of a sample of its input
    precision: str
    is_certain: bool  # no size in it depends on values that are not there
    is_given_gradients: bool  # its input depends on weights that are trained


class Networks:
    """All networks of the script and their calls since the last backward pass."""

    def __init__(self, session: DryRun, operations: Operations, values: Values) -> None:
        self._session = session
        self._operations = operations
        self._values = values
        self._modules: List[Any] = []  # weak references: some modules cannot be hashed while they are made
        self._called: Dict[int, Any] = {}  # by ``id``; held, because Python reuses the ``id`` of a freed object
        self._outputs: Dict[Any, Any] = {}
        self._known: Set[Any] = set()
        self._given: Dict[int, List[Any]] = {}
        self._depth = 0
        self._layers = self._elements = 0
        self._watched: Set[type] = set()
        self.calls: List[Called] = []
        self.trained: Set[int] = set()  # networks that got gradients
        self.traced: Dict[Any, Traced] = {}

    def attach(self) -> None:
        """Make parameters weightless and watch the calls of modules."""
        _weightless_parameters()
        _weightless_layers()
        original_init, modules, watch_forward = Module.__init__, self._modules, self._watch_forward

        def __init__(this: Any, *args: Any, **kwargs: Any) -> None:
            original_init(this, *args, **kwargs)
            modules.append(weakref.ref(this))
            watch_forward(type(this))

        Module.__init__ = __init__
        Module.zero_grad = lambda self, set_to_none=True: None
        self.watch_calls(Module)

    def watch_calls(self, kind: Any, name: str = "__call__") -> None:
        """Watch the calls of a class of modules that has a ``__call__`` of its own."""
        original, networks = getattr(kind, name), self

        @functools.wraps(original)
        def called(this: Any, *args: Any, **kwargs: Any) -> Any:
            if networks._depth and name == "__call__":
                return networks._inner(original, this, args, kwargs)
            if networks._depth:
                return original(this, *args, **kwargs)
            if next(this.parameters(), None) is None:
                return original(this, *args, **kwargs)
            if not _is_initialized(this):
                networks._initialize(original, this, args, kwargs)
            return networks._outermost(original, this, args, kwargs)

        setattr(kind, name, called)

    def _watch_forward(self, kind: type) -> None:
        """Some scripts call ``forward`` by its name."""
        if kind not in self._watched:
            self._watched.add(kind)
            path = str(getattr(sys.modules.get(kind.__module__), "__file__", ""))
            if "site-packages" not in path and "dist-packages" not in path:
                self.watch_calls(kind, "forward")

    def _initialize(self, original: Any, module: Any, args: Any, kwargs: Any) -> None:
        """Lazy layers learn their sizes from a first call, which belongs to no training step."""
        with self.inside(), torch.no_grad():
            original(module, *args, **kwargs)

    def _inner(self, original: Any, module: Any, args: Any, kwargs: Any) -> Any:
        before = self._layers + self._elements
        outputs = original(module, *args, **kwargs)
        if before == self._layers + self._elements and type(module).__name__ not in _CHEAP:
            elements = sum(tensor.numel() for tensor in tensors_of(outputs)[:1])
            if elements:
                self._layers += 1
                self._elements += elements
        return outputs

    def _outermost(self, original: Any, module: Any, args: Any, kwargs: Any) -> Any:
        grad = torch.is_grad_enabled()
        self._called[id(module)] = module
        given = main_inputs(args, kwargs)
        frozen = sum(1 for parameter in module.parameters() if not parameter.requires_grad)
        key = (id(module), module.training, grad, frozen, precision(module), signature((args, kwargs)))
        prefix = tuple(call.key for call in self.calls if call.grad) + (key,)
        rows = batch_rows(module, given)
        again = self._was_given(module, given)
        if not grad and self.trained:
            self._session.ledger.evaluated(rows if self.trained == {id(module)} else None)
        remembered = self._outputs.get(key)
        if remembered is not None and (not grad or prefix in self._known):
            self.calls.append(Called(key, module, self.traced[key].flops, False, rows, grad, again))
            return rebuilt(remembered)
        operations, guesses = self._operations, self._values.guesses
        operations.saved.leave_out(list(module.parameters()) + list(module.buffers()))
        before, self._layers, self._elements = operations.total, 0, 0
        self._depth += 1
        try:
            if not any(module.children()):
                outputs = self._inner(original, module, args, kwargs)
            else:
                outputs = original(module, *args, **kwargs)
        except (RuntimeError, TypeError, ValueError, LookupError) as exc:
            text = str(exc).split("\n")[0][:120]
            self._session.ledger.doubt("a call of %s failed: %s" % (type(module).__name__, text))
            raise
        finally:
            self._depth -= 1
        shape = _shape_of_a_sample(given, rows)
        self.traced[key] = Traced(
            module, operations.total - before, grad, rows, self._layers, self._elements, shape, precision(module),
            is_certain=self._values.guesses == guesses,
            is_given_gradients=any(one.requires_grad for one in given),
        )  # fmt: skip
        self.calls.append(Called(key, module, self.traced[key].flops, True, rows, grad, again))
        self._outputs[key] = pattern(outputs)
        return outputs

    def _was_given(self, module: Any, given: List[Any]) -> bool:
        """Whether a network is given a tensor that it was given before; a few are kept for the comparison."""
        before = self._given.setdefault(id(module), [])
        if any(given[0] is one for one in before) if given else False:
            return True
        if given and len(before) < _MOST_KEPT:
            before.append(given[0])
        return False

    @contextlib.contextmanager
    def inside(self) -> Iterator[None]:
        """Calls made inside this context, such as those that a checkpoint repeats, are none of the script's."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def remember(self, keys: Tuple[Any, ...]) -> None:
        """These calls, in this order, have been followed by a backward pass whose cost is known."""
        for end in range(1, len(keys) + 1):
            self._known.add(keys[:end])

    def forget(self, keys: Tuple[Any, ...]) -> None:
        """The same calls had another backward pass: trace them again."""
        for end in range(1, len(keys) + 1):
            self._known.discard(keys[:end])

    def root_of(self, module: Any) -> Any:
        """The outermost network that a module is part of."""
        alive = [module for module in (reference() for reference in self._modules) if module is not None]
        parents = {id(child): parent for parent in alive for child in parent.children()}
        seen: Set[int] = set()
        while id(module) in parents and id(module) not in seen:
            seen.add(id(module))
            module = parents[id(module)]
        return module


def _is_initialized(module: Any) -> bool:
    lazy = getattr(torch.nn.parameter, "UninitializedTensorMixin", ())  # torch 1.8 and newer
    return not any(isinstance(parameter, lazy) for parameter in module.parameters())


def _weightless_parameters() -> None:
    parameter = torch.nn.Parameter
    original = parameter.__new__

    def __new__(cls: Any, data: Any = None, *args: Any, **kwargs: Any) -> Any:
        if isinstance(data, torch.Tensor) and not data.is_meta:
            data = torch.empty_like(data, device="meta")
        return original(cls, data, *args, **kwargs)

    parameter.__new__ = __new__


def _weightless_layers() -> None:
    """Let torch's own layers make their weights on the meta device, which saves filling them."""
    for kind in list(vars(torch.nn).values()) + list(_BASES):
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


def _shape_of_a_sample(given: List[Any], rows: Optional[int]) -> Optional[Tuple[int, ...]]:
    if not given or not rows:
        return None
    shape = tuple(int(size) for size in given[0].shape)
    axis = shape.index(rows) if rows in shape else 0
    return shape[:axis] + shape[axis + 1 :]


def batch_rows(module: Any, given: List[Any]) -> Optional[int]:
    """Size of the batch axis of what a network is given; recurrent networks often have it second."""
    if not given:
        return None
    shape = given[0].shape
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


def counts(modules: List[Any]) -> Dict[str, Any]:
    """Parameters of networks, all and trainable, each once."""
    unique = {id(weight): weight for module in modules for weight in _weights(module)}
    sizes = [(math.prod(weight.shape), _is_trained(weight)) for weight in unique.values()]
    return {
        "parameters": sum(size for size, _ in sizes),
        "trainable_parameters": sum(size for size, is_trained in sizes if is_trained),
    }


def _weights(module: Any) -> List[Any]:
    """The parameters of a module; for a Keras layer its weights, of which PyTorch may list some twice and seeds too."""
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
