"""FLOPs of Keras 3 models on PyTorch: a forward and backward pass on shapes alone, operation by operation."""

import contextlib
from typing import Any, Iterator

from ..keras.backends import Pass, dtype_of, map_specs
from .flops import Operations
from .saved import SavedTensors, keep
from .tensors import Values


def one_pass(keras: Any, model: Any, specs: Any, rows: int, counter: Any) -> Pass:
    """A forward and a backward pass on weightless tensors."""
    import torch

    values = Values()
    saved, kept = SavedTensors(), 0
    weights = [(one, _weightless(torch, one)) for one in model.variables]  # else each use would make another
    saved.leave_out([weight for _variable, weight in weights])
    with contextlib.ExitStack() as stack:
        stack.enter_context(keras.device("meta"))
        stack.enter_context(on_the_graph(keras, torch))
        stack.enter_context(keras.StatelessScope(state_mapping=weights))
        operations = stack.enter_context(Operations(saved, values))
        stack.enter_context(saved)
        kind = lambda spec: getattr(torch, dtype_of(keras, spec))
        inputs = map_specs(
            specs, lambda spec: torch.zeros((rows,) + tuple(spec.shape), dtype=kind(spec), device="meta")
        )
        with counter:
            outputs = model(inputs, training=True)
        forward = float(operations.total)
        flat = [one for one in keras.tree.flatten(outputs) if torch.is_tensor(one) and one.requires_grad]
        if flat:
            kept = saved.most_during(lambda: torch.autograd.backward([one.sum() for one in flat]))
        training = float(operations.total)
    return Pass(forward, training, ("an operation on values",) if values.guesses else (), outputs, kept or None)


def _weightless(torch: Any, variable: Any) -> Any:
    value = torch.empty(tuple(variable.shape), dtype=getattr(torch, variable.dtype), device="meta")
    return torch.nn.Parameter(value, requires_grad=variable.trainable and value.is_floating_point())


@contextlib.contextmanager
def on_the_graph(keras: Any, torch: Any) -> Iterator[None]:
    """Keep weightless tensors on autograd's graph, where Keras would make new ones in their place.

    Keras moves a tensor to the device where it already is by making a new one. Of a pooling layer it only works out the
    shape; on a GPU such a layer keeps its input and, for a maximum, the places of the largest values.
    """

    empty_like = torch.empty_like
    pooling = next(one for one in keras.layers.AveragePooling2D.__mro__[1:] if "call" in vars(one))
    torch.empty_like = lambda tensor, *args, **kwargs: (
        tensor
        if tensor.is_meta and list(kwargs) == ["device"] and str(kwargs["device"]) == "meta"
        else empty_like(tensor, *args, **kwargs)
    )
    call = pooling.call

    def pooled(self: Any, inputs: Any) -> Any:
        result = call(self, inputs) + 0 * inputs.sum()
        places = [torch.empty_like(result, dtype=torch.int64)] if self.pool_mode == "max" else []
        return keep(result, inputs, *places)

    pooling.call = pooled
    try:
        yield
    finally:
        torch.empty_like, pooling.call = empty_like, call
