"""Training loops over ``tf.GradientTape``: the cost of a step is read from its graph, and no step is taken.

A step inside ``tf.function`` is traced once, without its backward pass, and then only counted. A step that runs eagerly
keeps running, with stand-ins for its models and zeros for its gradients.
"""

import contextlib
import functools
import math
from typing import Any, Callable, Dict, List, Optional, Tuple

from ...dry_run.mistakes import in_brief
from ...dry_run.session import DryRun
from ...dry_run.steps import Step
from ..keras import model as keras_model
from ..keras.layers import LayerCounter, root
from . import graph_flops
from .batches import Batches
from .eager import EagerSteps
from .keras_calls import Call, KerasCalls
from .networks import describe, finish

_INSIDE = ("keras.", "tf_keras.", "tensorflow.")


class _Trace:
    """What happens while a function is traced."""

    def __init__(self) -> None:
        self.gradients: List[graph_flops.Gradient] = []
        self.sources: Dict[int, Any] = {}
        self.updates: List[Tuple[Any, Any, float]] = []
        self.calls: List[Call] = []
        self.has_update_in_branch = False
        self.rounds = self.batches = 1.0
        self.counter: Any = None
        self.graph: Any = None

    def keep_what_is_in(self, graph: Any) -> None:
        """Of what was noted, keep what ended up in the function's graph."""
        self.graph = graph
        self.gradients = [one for one in self.gradients if root(one.graph) is graph]
        self.updates = [one for one in self.updates if one[0] is graph]

    def updates_every_batch(self) -> bool:
        """Whether each gradient that is asked for goes into an optimizer's step of its own."""
        return not self.has_update_in_branch and 0 < len(self.gradients) <= len(self.updates)

    def layers(self, rows: float) -> Dict[str, Any]:
        """Layers and activations of one sample."""
        return self.counter.of(self.graph).facts(rows) if hasattr(self.counter, "of") else {}


class _Called:
    """A function that was traced: a training step, an evaluation, or neither."""

    def __init__(self, outputs: Any, step: Optional[Step], updates: Dict[Any, int], rows: float) -> None:
        self.outputs = outputs
        self.step = step
        self.updates = updates
        self.rows = rows
        self.is_one_batch = True
        self.whole_number: Optional[int] = None


class TapeLoops:
    """What of a script's training goes over tapes."""

    def __init__(self, tensorflow: Any, session: DryRun) -> None:
        self._tensorflow = tensorflow
        self._session = session
        self._ledger = session.ledger
        self._note = session.report.note
        self._calls = KerasCalls(tensorflow, self._note)
        self._batches = Batches(tensorflow, session)
        self._eager = EagerSteps(tensorflow, session, self._calls, self._batches)
        self._tracing: List[_Trace] = []
        self._called: Dict[Any, Optional[_Called]] = {}

    def attach(self) -> None:
        """Hook tapes, functions and data sets."""
        from tensorflow.python.eager.polymorphic_function import polymorphic_function

        tape = self._tensorflow.GradientTape
        self._eager.attach()
        tape.gradient = self._gradient(tape.gradient)
        function = polymorphic_function.Function
        function.__call__ = self._call(function.__call__)
        self._batches.attach()

    def attach_keras(self, keras: Any) -> None:
        """Hook Keras's layers and optimizers, where they compute with TensorFlow."""
        if keras_model.framework(keras) != "tensorflow":
            return
        self._calls.watch(keras, self._ask, self._seen)
        optimizer = keras.optimizers.Optimizer
        legacy = getattr(getattr(keras.optimizers, "legacy", None), "Optimizer", optimizer)  # Keras 2's second family
        for name in ("apply", "apply_gradients"):
            owners = [next((one for one in kind.__mro__ if name in vars(one)), None) for kind in {optimizer, legacy}]
            owners = [owner for owner in owners if owner is not None]
            scaling = getattr(
                keras.optimizers, "LossScaleOptimizer", None
            )  # its own apply skips steps with infinite losses
            owners += [scaling] if scaling is not None and name in vars(scaling) else []
            for owner in owners:
                setattr(owner, name, self._apply())

    def cost_of_train_step(self, model: Any, specs: Any, rows: int) -> Dict[str, Any]:
        """Facts of a model's own ``train_step``, by the sample."""
        this = _Trace()
        step = self._tensorflow.function(lambda inputs: model.train_step(inputs), autograph=False)
        self._concrete(this, lambda: step.get_concrete_function(specs))
        cost = graph_flops.cost_of_gradients(this.gradients)
        if cost.unknown or not this.gradients:
            return {}
        flops = {"forward_flops_per_sample": cost.forward / rows, "training_flops_per_sample": cost.training / rows}
        return dict(flops, gradient_accumulation=1 if this.updates_every_batch() else None, **this.layers(rows))

    def _concrete(self, this: _Trace, make: Callable[[], Any]) -> Any:
        """Trace a function."""
        keras = keras_model.imported_keras()
        this.counter = LayerCounter(keras) if keras is not None else contextlib.nullcontext()
        self._tracing.append(this)
        try:
            with this.counter:
                made = make()
        finally:
            self._tracing.pop()
        this.keep_what_is_in(made.graph)
        return made

    def _ask(self, layer: Any) -> str:
        if self._tracing:
            return "note"
        return self._eager.ask(layer) if self._tensorflow.executing_eagerly() else ""

    def _seen(self, call: Call) -> None:
        if self._tracing:
            self._tracing[-1].calls.append(call)
        else:
            self._eager.seen(call)

    def _apply(self) -> Any:
        loops, tensorflow = self, self._tensorflow

        def apply(self: Any, grads: Any, *_args: Any, **_kwargs: Any) -> None:
            if not isinstance(grads, (list, tuple)):
                list(grads)
            optimizer = getattr(self, "inner_optimizer", self)
            if loops._tracing:
                rounds, _batches = loops._batches.times()
                graph = tensorflow.compat.v1.get_default_graph()
                loops._tracing[-1].updates.append((root(graph), optimizer, rounds))
                loops._tracing[-1].has_update_in_branch |= graph_flops.is_in_branch(graph)
            elif tensorflow.executing_eagerly():
                loops._eager.updated(optimizer)
                _count_up(optimizer, 1)

        return apply

    def _gradient(self, original: Any) -> Any:
        loops, tensorflow = self, self._tensorflow

        @functools.wraps(original)
        def gradient(self: Any, target: Any, sources: Any, *args: Any, **kwargs: Any) -> Any:
            leaves = [leaf for leaf in tensorflow.nest.flatten(sources) if leaf is not None]
            variables = {id(keras_model.handle(leaf)): leaf for leaf in leaves if keras_model.handle(leaf) is not None}
            if not variables or len(variables) < len({id(leaf) for leaf in leaves}):
                # A gradient for data is part of what is computed, as in a gradient penalty.
                return original(self, target, sources, *args, **kwargs)
            if tensorflow.executing_eagerly():
                return loops._eager.gradient(self, original, target, sources, variables)
            if not loops._tracing:
                return original(self, target, sources, *args, **kwargs)
            loops._note_gradient(target, variables)
            return tensorflow.nest.map_structure(lambda leaf: tensorflow.zeros(leaf.shape, leaf.dtype), sources)

        return gradient

    def _note_gradient(self, target: Any, variables: Dict[int, Any]) -> None:
        this = self._tracing[-1]
        this.rounds, this.batches = self._batches.times()
        targets = [tensor for tensor in self._tensorflow.nest.flatten(target) if hasattr(tensor, "graph")]
        for graph in {id(tensor.graph): tensor.graph for tensor in targets}.values():
            here = [tensor for tensor in targets if tensor.graph is graph]
            this.gradients.append(graph_flops.Gradient(graph, here, set(variables)))
        this.sources.update(variables)

    def _call(self, original: Any) -> Any:
        loops, tensorflow = self, self._tensorflow

        @functools.wraps(original)
        def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
            if loops._tracing or not tensorflow.executing_eagerly() or self._run_functions_eagerly:
                return original(self, *args, **kwargs)
            if str(getattr(self._python_function, "__module__", "")).startswith(_INSIDE):
                return original(self, *args, **kwargs)
            try:
                called, rows = loops._known(self, args, kwargs)
            except Exception as exc:
                loops._note("a function could not be traced: %s" % in_brief(exc, 160))
                return original(self, *args, **kwargs)
            if called is None:
                return original(self, *args, **kwargs)
            loops._count(called, rows, _whole_number(args, kwargs))
            return tensorflow.nest.map_structure(loops._scalar, called.outputs)

        return __call__

    def _count(self, called: _Called, rows: Optional[float], whole_number: Optional[int]) -> None:
        if called.step is None:
            for optimizer, number in called.updates.items():
                self._eager.updated(optimizer, number)
                _count_up(optimizer, number)
            if not called.updates:
                self._ledger.evaluated(int(rows or called.rows))
            return
        step = called.step
        share = rows / step.rows if rows and step.rows and step.batch_is_argument else 1.0
        # Such as ``steps(iterator, 100)``: one call takes as many steps as its argument says.
        times = whole_number / called.whole_number if whole_number and called.whole_number else 1.0
        updates = {optimizer: round(number * times) for optimizer, number in called.updates.items()}
        step.taken(called.rows * share * times, updates, is_one_batch=called.is_one_batch)
        if not updates:
            self._eager.waits_for_update(step)
        for optimizer, number in updates.items():
            _count_up(optimizer, number)

    def _scalar(self, leaf: Any) -> Any:
        """A loss that falls a little, for scripts that look whether it does."""
        if hasattr(leaf, "dtype") and hasattr(leaf, "shape") and not len(leaf.shape) and leaf.dtype.is_floating:
            return self._tensorflow.constant(0.9 / (1 + 1e-5 * self._ledger.taken_in_all), leaf.dtype)
        return leaf

    def _known(self, function: Any, args: Any, kwargs: Any) -> Tuple[Optional[_Called], Optional[float]]:
        leaves = self._tensorflow.nest.flatten((args, kwargs))
        arrays = [leaf for leaf in leaves if hasattr(leaf, "shape") and hasattr(leaf, "dtype") and len(leaf.shape)]
        rows = float(arrays[0].shape[0]) if arrays and arrays[0].shape[0] else None
        for leaf in leaves:
            if hasattr(leaf, "get_next") and getattr(leaf, "_dataset", None) is not None:
                self._batches.see(leaf._dataset)
        # All but the number of rows: the last batch, which is shorter, needs no trace of its own.
        key = (id(function), tuple((tuple(leaf.shape)[1:], str(leaf.dtype)) for leaf in arrays), _plain(leaves))
        if key not in self._called:
            self._batches.whole_number = _whole_number(args, kwargs)
            self._batches.whole_number_ends_a_loop = False
            self._called[key] = called = self._traced(function, args, kwargs, rows)
            if called is not None and self._batches.whole_number_ends_a_loop:
                called.whole_number = _whole_number(args, kwargs)
        return self._called[key], rows

    def _traced(self, function: Any, args: Any, kwargs: Any, rows: Optional[float]) -> Optional[_Called]:
        this = _Trace()
        concrete = self._concrete(this, lambda: function.get_concrete_function(*args, **kwargs))
        if not this.gradients and not ((this.calls or this.updates) and self._ledger.trains):
            return None  # what comes before training may be needed as it is
        outputs = self._tensorflow.nest.map_structure(self._calls.zeros, concrete.structured_outputs)
        updates: Dict[Any, float] = {}
        for _graph, optimizer, rounds in this.updates:
            updates[optimizer] = updates.get(optimizer, 0.0) + rounds
        if not this.gradients:
            steps = {one: round(rounds) for one, rounds in updates.items()}
            return _Called(outputs, None, steps, _rows_of(this.calls) or 0)
        in_loop = this.rounds != 1.0
        batch = (None if in_loop else rows) or _rows_of(this.calls) or self._batches.rows
        step = self._step(this, updates, batch, batch_is_argument=rows is not None and not in_loop)
        if not math.isfinite(this.batches):
            self._session.tally.forget_the_end("how often a loop inside of a tf.function goes round is not known")
            return _Called(outputs, step, {}, 0.0)
        steps = {key: round(number) for key, number in updates.items()}
        called = _Called(outputs, step, steps, (batch or 0) * this.batches)
        called.is_one_batch = not in_loop
        return called

    def _step(
        self, this: _Trace, updates: Dict[Any, float], batch: Optional[float], *, batch_is_argument: bool
    ) -> Step:
        cost = graph_flops.cost_of_gradients(this.gradients)
        if cost.unknown:
            self._note("not counted in the FLOPs: " + ", ".join(cost.unknown[:5]))
        facts = describe(self._tensorflow, this.calls, list(updates), self._batches.shape)
        step = Step(
            self._ledger,
            dict(facts, **this.layers(batch or 0)),
            rows=batch or 0,
            forward=None if cost.unknown else cost.forward,
            training=None if cost.unknown else cost.training,
        )
        step.batch_is_argument = batch_is_argument
        step.kind.batches_per_step = 1 if this.updates_every_batch() else None
        step.kind.steps_are_known = this.updates_every_batch() or not updates
        step.kind.epoch_samples = self._batches.samples if this.rounds != 1.0 else None
        if not step.kind.steps_are_known:
            self._note("its optimizer does not step with every batch: how often is not known")
        finish(step.kind, this.calls, this.sources)
        return step


def _count_up(optimizer: Any, steps: int) -> None:
    try:
        optimizer.iterations.assign_add(steps)
    except (AttributeError, ValueError, TypeError):
        pass


def _whole_number(args: Any, kwargs: Any) -> Optional[int]:
    """The one whole number that a function is called with as a tensor, None where there is none or are several."""
    values = [*args, *kwargs.values()]
    scalars = [one for one in values if hasattr(one, "numpy") and hasattr(one, "dtype") and not len(one.shape)]
    whole = [int(one) for one in scalars if getattr(one.dtype, "is_integer", False)]
    return whole[0] if len(whole) == 1 else None


def _plain(leaves: List[Any]) -> Tuple[Any, ...]:
    return tuple(leaf for leaf in leaves if isinstance(leaf, (bool, str)))


def _rows_of(calls: List[Call]) -> Optional[int]:
    rows = [call.rows() for call in calls if call.rows()]
    return min(rows) if rows else None  # type: ignore[type-var]
