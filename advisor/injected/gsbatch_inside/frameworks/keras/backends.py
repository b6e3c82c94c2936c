"""FLOPs of Keras 3 models on PyTorch and JAX: one forward and backward pass on shapes alone, operation by operation."""

import contextlib
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from . import data as keras_data


class Pass(NamedTuple):
    """FLOPs of so many samples, what could not be counted, the outputs, and bytes kept for the backward pass."""

    forward: float
    training: float
    unknown: Tuple[str, ...]
    outputs: Any
    saved: Optional[int] = None


def passes() -> Dict[str, Callable[[Any, Any, Any, int, Any], Pass]]:
    """By the name of the back end: (keras, model, specs of its inputs, samples, counter of layers) to a pass."""
    return {"torch": _torch_pass, "jax": _jax_pass}


def build(keras: Any, model: Any, specs: Any, rows: int) -> None:
    """Make the weights, from shapes alone."""
    model(
        map_specs(
            specs, lambda spec: keras.KerasTensor((rows,) + tuple(spec.shape), _dtype(keras, spec), name="samples")
        )
    )


def map_specs(specs: Any, make: Callable[[Any], Any]) -> Any:
    """The same nested structure with something made of each spec."""
    if isinstance(specs, keras_data.Spec):
        if None in specs.shape:
            raise ValueError("the size of its input is not known before training")
        return make(specs)
    if isinstance(specs, dict):
        return {key: map_specs(value, make) for key, value in specs.items()}
    return type(specs)(map_specs(value, make) for value in specs)


def _dtype(keras: Any, spec: "keras_data.Spec") -> str:
    name = spec.dtype
    return "float32" if name == "float64" else "int32" if name == "int64" else name


def _torch_pass(keras: Any, model: Any, specs: Any, rows: int, counter: Any) -> Pass:
    import torch

    from ..torch import flops as torch_flops
    from ..torch import saved as torch_saved
    from ..torch import tensors as torch_tensors

    guesses_before = torch_tensors.guesses[0]
    saved, kept = torch_saved.SavedTensors(), 0
    weights = [(one, _weightless(torch, one)) for one in model.variables]  # else each use would make another
    saved.leave_out([weight for _variable, weight in weights])
    with contextlib.ExitStack() as stack:
        stack.enter_context(keras.device("meta"))
        stack.enter_context(on_the_graph(keras, torch))
        stack.enter_context(keras.StatelessScope(state_mapping=weights))
        operations = stack.enter_context(torch_flops.Operations(saved))
        stack.enter_context(saved)
        kind = lambda spec: getattr(torch, _dtype(keras, spec))
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
    guessed = torch_tensors.guesses[0] > guesses_before
    return Pass(forward, training, ("an operation on values",) if guessed else (), outputs, kept or None)


def _weightless(torch: Any, variable: Any) -> Any:
    value = torch.empty(tuple(variable.shape), dtype=getattr(torch, variable.dtype), device="meta")
    return torch.nn.Parameter(value, requires_grad=variable.trainable and value.is_floating_point())


@contextlib.contextmanager
def on_the_graph(keras: Any, torch: Any) -> Iterator[None]:
    """Keep weightless tensors on autograd's graph, where Keras would make new ones in their place.

    It "moves" a tensor to where it is already, and only works out the shape of what a pooling layer gives, which keeps
    its input, and the places of the largest.
    """
    from ..torch import saved as torch_saved

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
        return torch_saved.keep(result, inputs, *places)

    pooling.call = pooled
    try:
        yield
    finally:
        torch.empty_like, pooling.call = empty_like, call


def _jax_pass(keras: Any, model: Any, specs: Any, rows: int, counter: Any) -> Pass:
    import jax

    from ..jax import flops as jax_flops

    shape_of = lambda weight: jax.ShapeDtypeStruct(weight.shape, weight.dtype)
    trained = [shape_of(weight) for weight in model.trainable_variables]
    others = [shape_of(weight) for weight in model.non_trainable_variables]
    inputs = map_specs(specs, lambda spec: jax.ShapeDtypeStruct((rows,) + tuple(spec.shape), _dtype(keras, spec)))
    shapes: List[Any] = []

    def forward(trained: Any, others: Any, inputs: Any) -> Any:
        outputs, _updated = model.stateless_call(trained, others, inputs, training=True)
        shapes[:] = [outputs]
        return outputs

    def loss(trained: Any, others: Any, inputs: Any) -> Any:
        outputs = keras.tree.flatten(forward(trained, others, inputs))
        return sum((one.astype("float32") ** 2).sum() for one in outputs)

    with counter:
        program = jax.make_jaxpr(forward)(trained, others, inputs)
    cost, unknown = jax_flops.count(program)
    outputs = shapes[0]
    if trained:
        training, more = jax_flops.count(jax.make_jaxpr(jax.value_and_grad(loss))(trained, others, inputs))
    else:
        training, more = cost, set()
    return Pass(cost, training, tuple(sorted(unknown | more)), outputs)
