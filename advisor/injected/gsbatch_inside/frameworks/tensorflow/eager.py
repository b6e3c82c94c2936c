"""Training steps over ``tf.GradientTape`` that run eagerly, outside of ``tf.function``.

Keras models answer with stand-ins. What a loss was computed from is asked of the tape itself, the first time that a
step of this kind comes; other operations run as they are, and their FLOPs are counted as they do.
"""

from typing import Any, Dict, List, Optional, Set, Tuple

from ...dry_run import training_steps
from ..keras import model as keras_model
from . import batches as tensorflow_batches
from . import graph_flops, keras_calls
from . import loops as tensorflow_loops


class _Tapes:
    def __init__(self) -> None:
        self.open = 0
        self.calls: List[keras_calls.Call] = []
        self.counter: Optional[_Counter] = None
        self.since_gradient: List[training_steps.Step] = []


_tapes = _Tapes()
_known: Dict[Any, "training_steps.Step"] = {}
_layers: Set[int] = set()


def attach(tensorflow: Any) -> None:
    """Know when a tape is open."""
    tape = tensorflow.GradientTape
    enter, leave = tape.__enter__, tape.__exit__

    def __enter__(self: Any) -> Any:
        if tensorflow.executing_eagerly():
            if not _tapes.open:
                _tapes.calls = []
                _begin_counting()
            _tapes.open += 1
        return enter(self)

    def __exit__(self: Any, *details: Any) -> Any:
        if tensorflow.executing_eagerly():
            _tapes.open = max(_tapes.open - 1, 0)
        return leave(self, *details)

    tape.__enter__, tape.__exit__ = __enter__, __exit__


def ask(layer: Any) -> str:
    """Stand in for what a tape would record, and for the same models outside of it once they are trained."""
    if _tapes.open or id(layer) in _layers:
        return "stand in"
    return ""


def seen(call: "keras_calls.Call") -> None:
    """A network was called."""
    if _tapes.open:
        _tapes.calls.append(call)
    else:
        training_steps.evaluated(call.rows() or 0)


def waits_for_update(step: "training_steps.Step") -> None:
    """Gradients were asked for that an optimizer will be given later."""
    _tapes.since_gradient.append(step)


def updated(optimizer: Any, number: int = 1) -> None:
    """An optimizer took steps with the gradients that were last asked for."""
    training_steps.updated(optimizer, number)
    for step in _tapes.since_gradient:
        if optimizer not in step.optimizers:
            step.optimizers.add(optimizer)
            step.facts.update(optimizer=type(optimizer).__name__.lower())
            step.tell()
    _tapes.since_gradient = []


def gradient(tape: Any, original: Any, target: Any, sources: Any, variables: Dict[int, Any]) -> Any:
    """Zeros for the gradients of variables; what a real backward pass would cost is found out once."""
    import tensorflow

    calls = list(_tapes.calls)
    key = (tuple((id(call.layer), tuple(shape[1:] for shape in map(tuple, call.shapes))) for call in calls),
           tuple(sorted(variables)))  # fmt: skip
    if key not in _known:
        _known[key] = _described(tape, original, target, calls, variables)
    step = _known[key]
    rows = [call.rows() or 0 for call in calls]
    training_steps.taken(step, min(rows) if rows else step.rows, {})
    waits_for_update(step)
    return tensorflow.nest.map_structure(lambda leaf: tensorflow.zeros(leaf.shape, leaf.dtype), sources)


def _described(
    tape: Any, original: Any, target: Any, calls: List[Any], variables: Dict[int, Any]
) -> "training_steps.Step":
    import tensorflow

    del keras_calls.on_path[:]
    counter = _tapes.counter
    forward_beside = counter.flops if counter else 0.0
    # Where models answer for themselves the tape is asked for the witness only; the variables of others for real.
    own = {id(keras_model.handle(weight)) for call in calls for weight in call.layer.weights}
    others = [leaf for key, leaf in variables.items() if key not in own]
    original(tape, target, [keras_calls.witness(tensorflow), *others])
    backward_beside = (counter.flops if counter else 0.0) - forward_beside
    path = list(keras_calls.on_path) or list(reversed(calls))
    cost = keras_calls.costs(path, set(variables))
    forward, training = cost.forward + forward_beside, cost.training + forward_beside + backward_beside
    rows = [call.rows() for call in calls if call.rows()]
    batch = min(rows) if rows else tensorflow_batches.last_rows[0] or (counter.rows if counter else None)
    _end_counting()
    step = training_steps.Step(
        tensorflow_loops.describe(calls, []),
        rows=batch or 0,
        forward=None if cost.unknown else forward,
        training=None if cost.unknown else training,
    )
    step.facts.update(_layers_of(calls, batch))
    _layers.update(id(call.layer) for call in calls)
    tensorflow_loops.finish(step, calls, variables, [])
    return step


def _layers_of(calls: List["keras_calls.Call"], batch: Optional[int]) -> Dict[str, Any]:
    counts = [call.layers.facts(batch or 0) if call.layers else {} for call in calls]
    names = ("layers", "activation_elements")
    return {
        name: sum(count[name] for count in counts)
        for name in names
        if counts and all(count.get(name) is not None for count in counts)
    }


class _Counter:
    """FLOPs of the operations that really run while the first steps are taken."""

    def __init__(self) -> None:
        self.flops = 0.0
        self.rows: Optional[int] = None

    def __call__(self, kind: Any, inputs: Any, attributes: Any, outputs: Any, *others: Any, **named: Any) -> None:
        if named.get("graph", others[1] if len(others) > 1 else None) is not None:
            return
        kind = kind.decode() if isinstance(kind, bytes) else str(kind)
        try:
            flops = graph_flops.flops_of(_Operation(kind, inputs, attributes, outputs))
        except (TypeError, ValueError, IndexError):
            return
        if flops and self.rows is None and len(inputs[0].shape):
            self.rows = int(inputs[0].shape[0])
        self.flops += flops


class _Operation:
    """An operation that ran, seen as a graph's."""

    def __init__(self, kind: str, inputs: Any, attributes: Tuple[Any, ...], outputs: Any) -> None:
        self.type = kind
        self.inputs = inputs
        self.outputs = outputs
        self._attributes = dict(zip(attributes[::2], attributes[1::2])) if attributes else {}

    def get_attr(self, name: str) -> Any:
        if name not in self._attributes:
            raise ValueError(name)
        return self._attributes[name]


def _begin_counting() -> None:
    from tensorflow.python.framework import op_callbacks

    _end_counting()
    if len(_known) and _tapes.counter is None:
        return
    _tapes.counter = _Counter()
    op_callbacks.add_op_callback(_tapes.counter)


def _end_counting() -> None:
    from tensorflow.python.framework import op_callbacks

    if _tapes.counter is not None:
        op_callbacks.remove_op_callback(_tapes.counter)
        _tapes.counter = None
