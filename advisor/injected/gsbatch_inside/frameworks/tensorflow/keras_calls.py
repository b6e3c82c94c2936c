"""Outermost calls of Keras layers and models: noted while a step is traced, answered by a stand-in otherwise.

A stand-in answers with zeros of the right shape, so a loop over batches costs nothing. Its answer is recorded on the
gradient tape, which then shows what a loss depends on.
"""

from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set

from ...dry_run.mistakes import in_brief
from ..keras import model as keras_model
from ..keras.layers import LayerCounter
from . import graph_flops


class Call(NamedTuple):
    """An outermost call: the layer and the shapes of its tensors (batch axis first); where traced, its graph too.

    ``data`` are the shapes of those tensors that no other layer has made.
    """

    layer: Any
    shapes: List[Any]
    concrete: Any = None
    layers: Any = None
    data: Any = ()

    def rows(self) -> Optional[int]:
        """Samples in the batch."""
        return int(self.shapes[0][0]) if self.shapes and self.shapes[0] and self.shapes[0][0] else None


class _StandIn(NamedTuple):
    call: Call
    outputs: Any


class KerasCalls:
    """All calls of layers. ``on_path`` are those that a gradient went through, the last one first."""

    def __init__(self, tensorflow: Any, note: Callable[[str], None]) -> None:
        self._tensorflow = tensorflow
        self._note = note
        self._depth = 0
        self._stand_ins: Dict[Any, _StandIn] = {}
        self._witness: Any = None
        self.on_path: List[Call] = []

    def watch(self, keras: Any, ask: Callable[[Any], str], seen: Callable[[Call], None]) -> None:
        """Hook the class that every layer's call goes through.

        Args:
            keras: the package.
            ask: what to do with an outermost call of a layer: ``"note"`` while tracing, ``"stand in"``, or nothing.
            seen: called with each outermost call that was noted or stood in for.
        """
        owner = next(one for one in keras.layers.Layer.__mro__ if "__call__" in vars(one))
        original, calls, flatten = vars(owner)["__call__"], self, self._tensorflow.nest.flatten

        def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:
            what = "" if calls._depth else ask(self)
            if not what:
                return original(self, *args, **kwargs)
            leaves = flatten((args, kwargs))
            tensors = [leaf for leaf in leaves if _is_batch(leaf)]
            if not tensors:
                return original(self, *args, **kwargs)
            calls._depth += 1
            try:
                if what == "stand in":
                    try:
                        stand_in = calls._stand_in(original, self, (args, kwargs), leaves)
                        seen(stand_in.call._replace(data=_data(tensors)))
                        return calls._made_by_a_layer(calls._connected(stand_in, tensors))
                    except Exception as exc:  # then the layer itself is called, as in the job
                        calls._note("a model could not be traced: %s" % in_brief(exc))
                outputs = original(self, *args, **kwargs)
            finally:
                calls._depth -= 1
            if self.weights:
                seen(Call(self, [list(tensor.shape) for tensor in tensors], data=_data(tensors)))
                calls._made_by_a_layer(outputs)
            return outputs

        owner.__call__ = __call__

    def witness(self) -> Any:
        """A variable that every stand-in depends on: its gradient finds the stand-ins that a loss was computed from."""
        if self._witness is None:
            self._witness = self._tensorflow.Variable(0.0, name="witness")
        return self._witness

    def zeros(self, tensor: Any) -> Any:
        """A tensor of zeros like a symbolic one; what is no tensor stays."""
        tensorflow = self._tensorflow
        if not hasattr(tensor, "dtype") or not hasattr(tensor, "shape"):
            return tensor
        if tensor.dtype.name in ("string", "variant", "resource"):
            return tensorflow.zeros([], "int32") if tensor.dtype.name != "string" else tensorflow.constant("")
        return tensorflow.zeros([size or 1 for size in tensor.shape.as_list()], tensor.dtype)

    def _made_by_a_layer(self, outputs: Any) -> Any:
        for leaf in self._tensorflow.nest.flatten(outputs):
            if _is_batch(leaf):
                leaf._gsbatch_made = True
        return outputs

    def _stand_in(self, call: Any, layer: Any, inputs: Any, leaves: List[Any]) -> _StandIn:
        plain = [
            (tuple(leaf.shape)[1:], str(leaf.dtype)) if _is_batch(leaf) else (leaf if _is_plain(leaf) else type(leaf))
            for leaf in leaves
        ]
        # Neither a shorter last batch nor training=False needs a trace of its own: the shapes are the same.
        key = (id(layer), str([one for one in plain if not isinstance(one, bool)]))
        if key not in self._stand_ins:
            self._stand_ins[key] = self._traced(call, layer, inputs, leaves)
        found = self._stand_ins[key]
        rows = next(int(leaf.shape[0]) for leaf in leaves if _is_batch(leaf))
        if rows == found.call.rows():
            return found
        short = Call(layer, [[rows] + shape[1:] for shape in found.call.shapes], *found.call[2:])
        return _StandIn(short, self._of_length(found.outputs, found.call.rows(), rows))

    def _of_length(self, outputs: Any, before: Any, rows: int) -> Any:
        """Zeros for another number of samples."""

        def resized(leaf: Any) -> Any:
            if hasattr(leaf, "shape") and len(leaf.shape) and leaf.shape[0] == before:
                return self._tensorflow.zeros([rows] + leaf.shape.as_list()[1:], leaf.dtype)
            return leaf

        return self._tensorflow.nest.map_structure(resized, outputs)

    def _traced(self, original: Any, layer: Any, inputs: Any, leaves: List[Any]) -> _StandIn:
        tensorflow = self._tensorflow
        places = [place for place, leaf in enumerate(leaves) if _is_batch(leaf)]
        specs = [tensorflow.TensorSpec(leaves[place].shape, leaves[place].dtype) for place in places]

        def forward(*tensors: Any) -> Any:
            filled = list(leaves)
            for place, tensor in zip(places, tensors):
                filled[place] = tensor
            own_args, own_kwargs = tensorflow.nest.pack_sequence_as(inputs, filled)
            return original(layer, *own_args, **own_kwargs)

        if not keras_model.is_built(layer):
            tensorflow.function(forward, autograph=False).get_concrete_function(*specs)  # makes the variables
        with LayerCounter(keras_model.imported_keras()) as counter:
            concrete = tensorflow.function(forward, autograph=False).get_concrete_function(*specs)
        call = Call(layer, [list(spec.shape) for spec in specs], concrete, counter.of(concrete.graph))
        return _StandIn(call, tensorflow.nest.map_structure(self.zeros, concrete.structured_outputs))

    def _connected(self, stand_in: _StandIn, tensors: List[Any]) -> Any:
        """The stand-in's outputs, recorded on the tape as if they had been computed from the inputs and the weights."""
        tensorflow, on_path = self._tensorflow, self.on_path
        flat = tensorflow.nest.flatten(stand_in.outputs)
        floats = [tensorflow.convert_to_tensor(tensor) for tensor in tensors]
        floats = [tensor for tensor in floats if tensor.dtype.is_floating]

        @tensorflow.custom_gradient  # type: ignore[untyped-decorator]
        def record(*inputs: Any) -> Any:
            def gradient(*_upstream: Any) -> Any:
                on_path.append(stand_in.call)
                return [tensorflow.zeros_like(tensor) for tensor in inputs]

            return [tensorflow.identity(tensor) for tensor in flat], gradient

        return tensorflow.nest.pack_sequence_as(stand_in.outputs, record(self.witness().read_value(), *floats))


def _data(tensors: List[Any]) -> List[Any]:
    return [list(tensor.shape) for tensor in tensors if not hasattr(tensor, "_gsbatch_made")]


def _is_batch(leaf: Any) -> bool:
    shape = getattr(leaf, "shape", None)
    is_symbol_of_keras = type(leaf).__name__ == "KerasTensor"
    return shape is not None and hasattr(leaf, "dtype") and len(shape) > 0 and not is_symbol_of_keras


def _is_plain(leaf: Any) -> bool:
    return leaf is None or isinstance(leaf, (bool, int, float, str))


def costs(calls: List[Call], handles: Set[int]) -> "graph_flops.Cost":
    """FLOPs of the calls that a gradient goes through, last first, for the variables of these handles."""
    forward = training = 0.0
    unknown: Set[str] = set()
    for place, call in enumerate(calls):
        if call.concrete is None:
            unknown.add("a model that could not be traced")
            continue
        upstream = any(_handles(other.layer) & handles for other in calls[place + 1 :])
        cost = graph_flops.cost_of(call.concrete, handles, input_needs_gradient=upstream)
        forward += cost.forward
        training += cost.training
        unknown.update(cost.unknown)
    return graph_flops.Cost(forward, training, tuple(sorted(unknown)))


def _handles(layer: Any) -> Set[int]:
    return {id(keras_model.handle(weight)) for weight in layer.trainable_weights}
