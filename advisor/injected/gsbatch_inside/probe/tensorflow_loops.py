"""Training loops over ``tf.GradientTape``: what a step costs is read from its graph, and no step is taken.

A step inside of ``tf.function`` is traced once, without its backward pass, and then only counted. A step that runs
eagerly keeps running, with stand-ins for its models (keras_calls.py) and zeros for its gradients.
"""

import functools
import math
from typing import Any, Dict, List, Optional, Tuple

from gsbatch_inside.post_import import when_imported

from . import (
    graph_flops,
    keras_calls,
    keras_model,
    record,
    tensorflow_batches,
    tensorflow_eager,
    training_steps,
)

_INSIDE = ("keras.", "tf_keras.", "tensorflow.")


class Trace:
    """What happens while a function is traced."""

    def __init__(self) -> None:
        self.gradients: List[graph_flops.Gradient] = []
        self.sources: Dict[int, Any] = {}
        self.updates: Dict[Any, float] = {}
        self.calls: List[keras_calls.Call] = []
        self.batches = 1.0
        self.asked = 0.0


_tracing: List[Trace] = []


def attach(tensorflow: Any) -> None:
    """Hook tapes, functions and data sets at once, Keras when it is there."""
    from tensorflow.python.eager.polymorphic_function import polymorphic_function

    tape = tensorflow.GradientTape
    tensorflow_eager.attach(tensorflow)
    tape.gradient = _gradient(tensorflow, tape.gradient)
    function = polymorphic_function.Function
    function.__call__ = _call(tensorflow, function.__call__)
    tensorflow_batches.attach(tensorflow)
    training_steps.watch()
    for name in ("keras", "tf_keras"):
        when_imported(name, lambda keras: _attach_keras(tensorflow, keras))


def _attach_keras(tensorflow: Any, keras: Any) -> None:
    if keras_model.framework(keras) != "tensorflow":
        return
    keras_calls.watch(keras, tensorflow, lambda layer: _ask(tensorflow, layer), _seen)
    optimizer = keras.optimizers.Optimizer
    for name in ("apply", "apply_gradients"):
        for owner in optimizer.__mro__:
            if name in vars(owner):
                setattr(owner, name, _apply(tensorflow))
                break


def _ask(tensorflow: Any, layer: Any) -> str:
    if _tracing:
        return "note"
    return tensorflow_eager.ask(layer) if tensorflow.executing_eagerly() else ""


def _seen(call: "keras_calls.Call") -> None:
    if _tracing:
        _tracing[-1].calls.append(call)
    else:
        tensorflow_eager.seen(call)


def _apply(tensorflow: Any) -> Any:
    def apply(self: Any, grads: Any, *_args: Any, **_kwargs: Any) -> None:
        if not isinstance(grads, (list, tuple)):
            list(grads)
        optimizer = getattr(self, "inner_optimizer", self)
        if _tracing:
            rounds, _batches = tensorflow_batches.times()
            _tracing[-1].updates[optimizer] = _tracing[-1].updates.get(optimizer, 0.0) + rounds
        elif tensorflow.executing_eagerly():
            tensorflow_eager.updated(optimizer)
            _count_up(optimizer, 1)

    return apply


def _count_up(optimizer: Any, steps: int) -> None:
    try:
        optimizer.iterations.assign_add(steps)
    except (AttributeError, ValueError, TypeError):
        pass


def _gradient(tensorflow: Any, original: Any) -> Any:
    @functools.wraps(original)
    def gradient(self: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
        leaves = [leaf for leaf in tensorflow.nest.flatten(sources) if leaf is not None]
        variables = {id(keras_model.handle(leaf)): leaf for leaf in leaves if keras_model.handle(leaf) is not None}
        if not variables or len(variables) < len({id(leaf) for leaf in leaves}):
            return original(self, target, sources, *args, **kwargs)  # a gradient for data is part of what is computed
        if tensorflow.executing_eagerly():
            return tensorflow_eager.gradient(self, original, target, sources, variables)
        if not _tracing:
            return original(self, target, sources, *args, **kwargs)
        _note_gradient(tensorflow, target, variables)
        return tensorflow.nest.map_structure(lambda leaf: tensorflow.zeros(leaf.shape, leaf.dtype), sources)

    return gradient


def _note_gradient(tensorflow: Any, target: Any, variables: Dict[int, Any]) -> None:
    this = _tracing[-1]
    rounds, this.batches = tensorflow_batches.times()
    targets = [tensor for tensor in tensorflow.nest.flatten(target) if hasattr(tensor, "graph")]
    for graph in {id(tensor.graph): tensor.graph for tensor in targets}.values():
        here = [tensor for tensor in targets if tensor.graph is graph]
        this.gradients.append(graph_flops.Gradient(graph, here, set(variables), rounds))
    this.asked = max(this.asked, rounds)
    this.sources.update(variables)


class _Called:
    """A function that was traced: a training step, an evaluation, or neither."""

    def __init__(self, outputs: Any, step: Optional[training_steps.Step], updates: Dict[Any, int], rows: float) -> None:
        self.outputs = outputs
        self.step = step
        self.updates = updates
        self.rows = rows


_called: Dict[Any, Optional[_Called]] = {}


def _call(tensorflow: Any, original: Any) -> Any:
    @functools.wraps(original)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
        if _tracing or not tensorflow.executing_eagerly() or self._run_functions_eagerly:
            return original(self, *args, **kwargs)
        if str(getattr(self._python_function, "__module__", "")).startswith(_INSIDE):
            return original(self, *args, **kwargs)
        try:
            called, rows = _known(tensorflow, self, args, kwargs)
        except Exception as exc:
            record.note("a function could not be traced: %s: %s" % (type(exc).__name__, str(exc).strip()[:160]))
            return original(self, *args, **kwargs)
        if called is None:
            return original(self, *args, **kwargs)
        if called.step is None:
            training_steps.evaluated(int(rows or called.rows))
        else:
            share = rows / called.step.rows if rows and called.step.batch_is_argument else 1.0
            training_steps.taken(called.step, called.rows * share, called.updates)
            for optimizer, number in called.updates.items():
                _count_up(optimizer, number)
        return tensorflow.nest.map_structure(lambda leaf: _scalar(tensorflow, leaf), called.outputs)

    return __call__


def _scalar(tensorflow: Any, leaf: Any) -> Any:
    """A loss that falls a little, for scripts that look whether it does."""
    if hasattr(leaf, "dtype") and hasattr(leaf, "shape") and not len(leaf.shape) and leaf.dtype.is_floating:
        return tensorflow.constant(0.9 / (1 + 1e-5 * training_steps.count()), leaf.dtype)
    return leaf


def _known(tensorflow: Any, function: Any, args: Any, kwargs: Any) -> Tuple[Optional[_Called], Optional[float]]:
    leaves = tensorflow.nest.flatten((args, kwargs))
    arrays = [leaf for leaf in leaves if hasattr(leaf, "shape") and hasattr(leaf, "dtype") and len(leaf.shape)]
    rows = float(arrays[0].shape[0]) if arrays and arrays[0].shape[0] else None
    for leaf in leaves:
        if hasattr(leaf, "get_next") and getattr(leaf, "_dataset", None) is not None:
            tensorflow_batches.see(leaf._dataset)
    # All but the number of rows: the last batch, which is shorter, needs no trace of its own.
    key = (id(function), tuple((tuple(leaf.shape)[1:], str(leaf.dtype)) for leaf in arrays), _plain(leaves))
    if key not in _called:
        _called[key] = _traced(tensorflow, function, args, kwargs, rows)
    return _called[key], rows


def _plain(leaves: List[Any]) -> Tuple[Any, ...]:
    return tuple(leaf for leaf in leaves if isinstance(leaf, (bool, str)))


def _traced(tensorflow: Any, function: Any, args: Any, kwargs: Any, rows: Optional[float]) -> Optional[_Called]:
    this = Trace()
    _tracing.append(this)
    try:
        with keras_model.layer_counter() as counter:
            concrete = function.get_concrete_function(*args, **kwargs)
    finally:
        _tracing.pop()
    if not this.gradients and not this.updates and not this.calls:
        return None
    if not this.gradients and not training_steps.any_taken():
        return None  # what comes before training may be needed as it is
    outputs = tensorflow.nest.map_structure(
        lambda tensor: keras_calls.zeros(tensorflow, tensor), concrete.structured_outputs
    )
    if not this.gradients:
        return _Called(outputs, None, {}, _rows_of(this.calls) or 0)
    updates = {optimizer: round(number) for optimizer, number in this.updates.items() if math.isfinite(number)}
    in_loop = bool(this.asked != 1.0)
    batch = (None if in_loop else rows) or _rows_of(this.calls) or tensorflow_batches.last_rows[0]
    step = _step(this, counter, batch, batch_is_argument=rows is not None and not in_loop)
    return _Called(outputs, step, updates, (batch or 0) * this.batches)


def cost_of_train_step(model: Any, specs: Any, rows: int) -> Dict[str, Any]:
    """Facts of a model's own ``train_step``, by the sample."""
    import tensorflow

    this = Trace()
    _tracing.append(this)
    try:
        with keras_model.layer_counter() as counter:
            step = tensorflow.function(lambda inputs: model.train_step(inputs), autograph=False)
            step.get_concrete_function(specs)
    finally:
        _tracing.pop()
    cost = graph_flops.cost_of_gradients(this.gradients)
    if cost.unknown or not this.gradients:
        return {}
    facts = {
        "forward_flops_per_sample": cost.forward / rows,
        "training_flops_per_sample": cost.training / rows,
        "layers": counter.layers,
    }
    if not counter.is_partial:
        facts["activation_elements"] = round(counter.elements / rows)
    return facts


def _rows_of(calls: List["keras_calls.Call"]) -> Optional[int]:
    rows = [call.rows() for call in calls if call.rows()]
    return min(rows) if rows else None  # type: ignore[type-var]


def _step(this: Trace, counter: Any, batch: Optional[float], *, batch_is_argument: bool) -> "training_steps.Step":
    cost = graph_flops.cost_of_gradients(this.gradients)
    if cost.unknown:
        record.note("not counted in the FLOPs: " + ", ".join(cost.unknown[:5]))
    known = not cost.unknown and math.isfinite(cost.training) and this.asked
    step = training_steps.Step(
        describe(this.calls, list(this.updates)),
        rows=batch or 0,
        forward=cost.forward / this.asked if known else None,
        training=cost.training / this.asked if known else None,
    )
    if batch and counter is not None and counter.layers and not counter.is_partial:
        step.facts.update(layers=counter.layers, activation_elements=round(counter.elements / batch))
    finish(step, this.calls, this.sources, list(this.updates))
    step.batch_is_argument = batch_is_argument
    return step


def finish(
    step: "training_steps.Step", calls: List["keras_calls.Call"], sources: Dict[int, Any], optimizers: List[Any]
) -> None:
    """Add the weights and optimizers of a step, and tell of it."""
    for call in calls:
        step.weights.update(keras_model.weight_sizes(call.layer.weights))
    step.trained.update(keras_model.weight_sizes(sources.values()))
    step.weights.update(step.trained)
    step.optimizers.update(optimizers)
    step.epoch_samples = tensorflow_batches.last_samples[0]
    step.tell()


def describe(calls: List["keras_calls.Call"], optimizers: List[Any]) -> Dict[str, Any]:
    """Facts of the networks that a step calls."""
    import tensorflow

    keras = tensorflow.keras
    networks = list({id(call.layer): call.layer for call in calls}.values())
    shapes = [shape[1:] for call in calls for shape in call.shapes if None not in shape[1:]]
    kinds = {type(getattr(one, "inner_optimizer", one)).__name__.lower() for one in optimizers}
    return {
        "framework": "tensorflow",
        "model_name": keras_model.name(keras, networks[0]) if len(networks) == 1 else None,
        "input_shape": max(shapes, key=math.prod) if shapes else tensorflow_batches.last_shape[0],
        "optimizer": kinds.pop() if len(kinds) == 1 else None,
        "precision": keras_model.precision(networks[0]) if networks else "float32",
    }
