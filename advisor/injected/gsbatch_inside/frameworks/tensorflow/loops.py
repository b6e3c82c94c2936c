"""Training loops over ``tf.GradientTape``: what a step costs is read from its graph, and no step is taken.

A step inside of ``tf.function`` is traced once, without its backward pass, and then only counted. A step that runs
eagerly keeps running, with stand-ins for its models (keras_calls.py) and zeros for its gradients.
"""

import contextlib
import functools
import math
from typing import Any, Callable, Dict, List, Optional, Tuple

from ...dry_run import report, tally, training_steps
from ...post_import import when_imported
from ..keras import model as keras_model
from . import batches as tensorflow_batches
from . import eager as tensorflow_eager
from . import graph_flops, keras_calls

_INSIDE = ("keras.", "tf_keras.", "tensorflow.")


class Trace:
    """What happens while a function is traced."""

    def __init__(self) -> None:
        self.gradients: List[graph_flops.Gradient] = []
        self.sources: Dict[int, Any] = {}
        self.updates: List[Tuple[Any, Any, float]] = []
        self.calls: List[keras_calls.Call] = []
        self.has_update_in_branch = False
        self.rounds = self.batches = 1.0
        self.counter: Any = None
        self.graph: Any = None

    def concrete(self, tensorflow: Any, make: Callable[[], Any]) -> Any:
        """Trace a function; of what is noted, only what ended up in its graph is kept."""
        keras = keras_model.imported_keras()
        self.counter = keras_model.LayerCounter(keras) if keras is not None else contextlib.nullcontext()
        _tracing.append(self)
        try:
            with self.counter:
                made = make()
        finally:
            _tracing.pop()
        self.graph = made.graph
        self.gradients = [one for one in self.gradients if graph_flops.root(one.graph) is made.graph]
        self.updates = [one for one in self.updates if one[0] is made.graph]
        return made

    def updates_every_batch(self) -> bool:
        """Whether each gradient that is asked for goes into an optimizer's step of its own."""
        return not self.has_update_in_branch and 0 < len(self.gradients) <= len(self.updates)

    def layers(self, rows: float) -> Dict[str, Any]:
        """Layers and activations of one sample."""
        return self.counter.of(self.graph).facts(rows) if hasattr(self.counter, "of") else {}


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
    legacy = getattr(getattr(keras.optimizers, "legacy", None), "Optimizer", optimizer)  # Keras 2's second family
    for name in ("apply", "apply_gradients"):
        owners = [next((owner for owner in kind.__mro__ if name in vars(owner)), None) for kind in {optimizer, legacy}]
        owners = [owner for owner in owners if owner is not None]
        scaling = getattr(keras.optimizers, "LossScaleOptimizer", None)  # steps where the loss is finite: here always
        owners += [scaling] if scaling is not None and name in vars(scaling) else []
        for owner in owners:
            setattr(owner, name, _apply(tensorflow))


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
            graph = tensorflow.compat.v1.get_default_graph()
            _tracing[-1].updates.append((graph_flops.root(graph), optimizer, rounds))
            _tracing[-1].has_update_in_branch |= graph_flops.is_in_branch(graph)
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
    this.rounds, this.batches = tensorflow_batches.times()
    targets = [tensor for tensor in tensorflow.nest.flatten(target) if hasattr(tensor, "graph")]
    for graph in {id(tensor.graph): tensor.graph for tensor in targets}.values():
        here = [tensor for tensor in targets if tensor.graph is graph]
        this.gradients.append(graph_flops.Gradient(graph, here, set(variables)))
    this.sources.update(variables)


class _Called:
    """A function that was traced: a training step, an evaluation, or neither."""

    def __init__(self, outputs: Any, step: Optional[training_steps.Step], updates: Dict[Any, int], rows: float) -> None:
        self.outputs = outputs
        self.step = step
        self.updates = updates
        self.rows = rows
        self.whole_number: Optional[int] = None


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
            report.note("a function could not be traced: %s: %s" % (type(exc).__name__, str(exc).strip()[:160]))
            return original(self, *args, **kwargs)
        if called is None:
            return original(self, *args, **kwargs)
        _count(called, rows, _whole_number(args, kwargs))
        return tensorflow.nest.map_structure(lambda leaf: _scalar(tensorflow, leaf), called.outputs)

    return __call__


def _count(called: "_Called", rows: Optional[float], whole_number: Optional[int]) -> None:
    if called.step is None:
        for optimizer, number in called.updates.items():
            tensorflow_eager.updated(optimizer, number)
            _count_up(optimizer, number)
        if not called.updates:
            training_steps.evaluated(int(rows or called.rows))
        return
    share = rows / called.step.rows if rows and called.step.rows and called.step.batch_is_argument else 1.0
    # steps(iterator, 100): one call goes round as often as its argument says.
    times = whole_number / called.whole_number if whole_number and called.whole_number else 1.0
    updates = {optimizer: round(number * times) for optimizer, number in called.updates.items()}
    training_steps.taken(called.step, called.rows * share * times, updates)
    if not updates:
        tensorflow_eager.waits_for_update(called.step)
    for optimizer, number in updates.items():
        _count_up(optimizer, number)


def _whole_number(args: Any, kwargs: Any) -> Optional[int]:
    """The one whole number that a function is called with as a tensor, None where there is none or are several."""
    values = [*args, *kwargs.values()]
    scalars = [one for one in values if hasattr(one, "numpy") and hasattr(one, "dtype") and not len(one.shape)]
    whole = [int(one) for one in scalars if getattr(one.dtype, "is_integer", False)]
    return whole[0] if len(whole) == 1 else None


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
        tensorflow_batches.whole_number[0] = _whole_number(args, kwargs)
        tensorflow_batches.whole_number_ends_a_loop[0] = False
        _called[key] = called = _traced(tensorflow, function, args, kwargs, rows)
        if called is not None and tensorflow_batches.whole_number_ends_a_loop[0]:
            called.whole_number = _whole_number(args, kwargs)
    return _called[key], rows


def _plain(leaves: List[Any]) -> Tuple[Any, ...]:
    return tuple(leaf for leaf in leaves if isinstance(leaf, (bool, str)))


def _traced(tensorflow: Any, function: Any, args: Any, kwargs: Any, rows: Optional[float]) -> Optional[_Called]:
    this = Trace()
    concrete = this.concrete(tensorflow, lambda: function.get_concrete_function(*args, **kwargs))
    if not this.gradients and not ((this.calls or this.updates) and training_steps.any_taken()):
        return None  # what comes before training may be needed as it is
    outputs = tensorflow.nest.map_structure(
        lambda tensor: keras_calls.zeros(tensorflow, tensor), concrete.structured_outputs
    )
    updates: Dict[Any, float] = {}
    for _graph, optimizer, rounds in this.updates:
        updates[optimizer] = updates.get(optimizer, 0.0) + rounds
    if not this.gradients:
        return _Called(
            outputs, None, {one: round(rounds) for one, rounds in updates.items()}, _rows_of(this.calls) or 0
        )
    in_loop = this.rounds != 1.0
    batch = (None if in_loop else rows) or _rows_of(this.calls) or tensorflow_batches.last_rows[0]
    step = _step(this, updates, batch, batch_is_argument=rows is not None and not in_loop)
    if not math.isfinite(this.batches):
        tally.forget_the_end("how often a loop inside of a tf.function goes round is not known")
        return _Called(outputs, step, {}, 0.0)
    return _Called(outputs, step, {key: round(number) for key, number in updates.items()}, (batch or 0) * this.batches)


def cost_of_train_step(model: Any, specs: Any, rows: int) -> Dict[str, Any]:
    """Facts of a model's own ``train_step``, by the sample."""
    import tensorflow

    this = Trace()
    step = tensorflow.function(lambda inputs: model.train_step(inputs), autograph=False)
    this.concrete(tensorflow, lambda: step.get_concrete_function(specs))
    cost = graph_flops.cost_of_gradients(this.gradients)
    if cost.unknown or not this.gradients:
        return {}
    flops = {"forward_flops_per_sample": cost.forward / rows, "training_flops_per_sample": cost.training / rows}
    return dict(flops, gradient_accumulation=1 if this.updates_every_batch() else None, **this.layers(rows))


def _rows_of(calls: List["keras_calls.Call"]) -> Optional[int]:
    rows = [call.rows() for call in calls if call.rows()]
    return min(rows) if rows else None  # type: ignore[type-var]


def _step(
    this: Trace, updates: Dict[Any, float], batch: Optional[float], *, batch_is_argument: bool
) -> "training_steps.Step":
    cost = graph_flops.cost_of_gradients(this.gradients)
    if cost.unknown:
        report.note("not counted in the FLOPs: " + ", ".join(cost.unknown[:5]))
    step = training_steps.Step(
        describe(this.calls, list(updates)),
        rows=batch or 0,
        forward=None if cost.unknown else cost.forward,
        training=None if cost.unknown else cost.training,
    )
    step.facts.update(this.layers(batch or 0))
    step.batch_is_argument = batch_is_argument
    step.batches_per_update = 1 if this.updates_every_batch() else None
    step.updates_are_known = this.updates_every_batch() or not updates
    if not step.updates_are_known:
        report.note("its optimizer does not step with every batch: how often is not known")
    finish(step, this.calls, this.sources, list(updates))
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

    from . import dry_run as tensorflow_hooks  # which attaches this module

    keras = tensorflow.keras
    networks = list({id(call.layer): call.layer for call in calls}.values())
    shapes = [shape[1:] for call in calls for shape in call.data or call.shapes if None not in shape[1:]]
    kinds = {type(getattr(one, "inner_optimizer", one)).__name__.lower() for one in optimizers}
    return {
        "framework": "tensorflow",
        "backend": "tensorflow",
        "model_name": keras_model.name(keras, networks[0]) if len(networks) == 1 else None,
        "input_shape": max(shapes, key=math.prod) if shapes else tensorflow_batches.last_shape[0],
        "optimizer": kinds.pop() if len(kinds) == 1 else None,
        "precision": keras_model.precision(networks[0]) if networks else "float32",
        **tensorflow_hooks.strategy(),
    }
