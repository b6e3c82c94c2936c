"""FLOPs of Keras 3 models on JAX, read from the programs of a forward pass and its gradients, which are not run."""

from typing import Any, List

from ..keras.backends import Pass, dtype_of, map_specs
from . import flops


def one_pass(keras: Any, model: Any, specs: Any, rows: int, counter: Any) -> Pass:
    """A forward pass and its gradients, read from their programs."""
    import jax

    shape_of = lambda weight: jax.ShapeDtypeStruct(weight.shape, weight.dtype)
    trained = [shape_of(weight) for weight in model.trainable_variables]
    others = [shape_of(weight) for weight in model.non_trainable_variables]
    inputs = map_specs(specs, lambda spec: jax.ShapeDtypeStruct((rows,) + tuple(spec.shape), dtype_of(keras, spec)))
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
    cost, unknown = flops.count(program)
    outputs = shapes[0]
    if trained:
        training, more = flops.count(jax.make_jaxpr(jax.value_and_grad(loss))(trained, others, inputs))
    else:
        training, more = cost, set()
    return Pass(cost, training, tuple(sorted(unknown | more)), outputs)
