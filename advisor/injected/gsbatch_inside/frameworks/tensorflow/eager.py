"""Training steps over ``tf.GradientTape`` that run eagerly, outside ``tf.function``.

Calls of Keras models are answered by stand-ins. At the first step of each kind, the tape itself is asked what the loss
was computed from. All other operations run as they are, and their FLOPs are counted while they run.
"""

from typing import Any, Dict, List, Optional, Set, Tuple

from ...dry_run.session import DryRun
from ...dry_run.steps import Step
from ..keras import model as keras_model
from . import graph_flops
from .batches import Batches
from .keras_calls import Call, KerasCalls, costs
from .networks import describe, finish


class EagerSteps:
    """Open tapes, and the steps that were taken on them."""

    def __init__(self, tensorflow: Any, session: DryRun, calls: KerasCalls, batches: Batches) -> None:
        self._tensorflow = tensorflow
        self._ledger = session.ledger
        self._stand_ins = calls
        self._batches = batches
        self._open = 0
        self._calls: List[Call] = []
        self._counter: Optional[_Counter] = None
        self._since_gradient: List[Step] = []
        self._known: Dict[Any, Step] = {}
        self._layers: Set[int] = set()

    def attach(self) -> None:
        """Know when a tape is open."""
        tensorflow, steps = self._tensorflow, self
        tape = tensorflow.GradientTape
        enter, leave = tape.__enter__, tape.__exit__

        def __enter__(self: Any) -> Any:
            if tensorflow.executing_eagerly():
                if not steps._open:
                    steps._calls = []
                    steps._begin_counting()
                steps._open += 1
            return enter(self)

        def __exit__(self: Any, *details: Any) -> Any:
            if tensorflow.executing_eagerly():
                steps._open = max(steps._open - 1, 0)
            return leave(self, *details)

        tape.__enter__, tape.__exit__ = __enter__, __exit__

    def ask(self, layer: Any) -> str:
        """Stand in for what a tape would record, and for the same models outside of it once they are trained."""
        return "stand in" if self._open or id(layer) in self._layers else ""

    def seen(self, call: Call) -> None:
        """A network was called."""
        if self._open:
            self._calls.append(call)
        else:
            self._ledger.evaluated(call.rows() or 0)

    def waits_for_update(self, step: Step) -> None:
        """Gradients were asked for that an optimizer will be given later."""
        self._since_gradient.append(step)

    def updated(self, optimizer: Any, number: int = 1) -> None:
        """An optimizer took steps with the gradients that were last asked for."""
        for place, step in enumerate(self._since_gradient):
            is_new = optimizer not in step.kind.optimizers
            self._ledger.updated(step.kind, optimizer, 0 if place else number)
            if is_new:
                step.kind.facts.update(optimizer=type(optimizer).__name__.lower())
                self._ledger.tell(step.kind)
        self._since_gradient = []

    def gradient(self, tape: Any, original: Any, target: Any, sources: Any, variables: Dict[int, Any]) -> Any:
        """Zeros for the gradients of variables; what a real backward pass would cost is found out once."""
        tensorflow, calls = self._tensorflow, list(self._calls)
        shapes = tuple((id(call.layer), tuple(tuple(shape)[1:] for shape in call.shapes)) for call in calls)
        key = (shapes, tuple(sorted(variables)))
        if key not in self._known:
            self._known[key] = self._described(tape, original, target, calls, variables)
        step = self._known[key]
        rows = [call.rows() or 0 for call in calls]
        step.taken(min(rows) if rows else step.rows, {})
        self.waits_for_update(step)
        return tensorflow.nest.map_structure(lambda leaf: tensorflow.zeros(leaf.shape, leaf.dtype), sources)

    def _described(self, tape: Any, original: Any, target: Any, calls: List[Call], variables: Dict[int, Any]) -> Step:
        del self._stand_ins.on_path[:]
        counter = self._counter
        forward_beside = counter.flops if counter else 0.0
        # For models with stand-ins, the gradient of the witness is enough. All other variables need real gradients.
        own = {id(keras_model.handle(weight)) for call in calls for weight in call.layer.weights}
        others = [leaf for key, leaf in variables.items() if key not in own]
        original(tape, target, [self._stand_ins.witness(), *others])
        backward_beside = (counter.flops if counter else 0.0) - forward_beside
        path = list(self._stand_ins.on_path) or list(reversed(calls))
        cost = costs(path, set(variables))
        forward, training = cost.forward + forward_beside, cost.training + forward_beside + backward_beside
        rows = [call.rows() for call in calls if call.rows()]
        batch = min(rows) if rows else self._batches.rows or (counter.rows if counter else None)  # type: ignore[type-var]
        self._end_counting()
        step = Step(
            self._ledger,
            dict(describe(self._tensorflow, calls, [], self._batches.shape), **_layers_of(calls, batch)),
            rows=batch or 0,
            forward=None if cost.unknown else forward,
            training=None if cost.unknown else training,
        )
        self._layers.update(id(call.layer) for call in calls)
        finish(step.kind, calls, variables)
        return step

    def _begin_counting(self) -> None:
        from tensorflow.python.framework import op_callbacks

        self._end_counting()
        if self._known and self._counter is None:
            return
        self._counter = _Counter()
        op_callbacks.add_op_callback(self._counter)

    def _end_counting(self) -> None:
        from tensorflow.python.framework import op_callbacks

        if self._counter is not None:
            op_callbacks.remove_op_callback(self._counter)
            self._counter = None


def _layers_of(calls: List[Call], batch: Optional[int]) -> Dict[str, Any]:
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
