"""Count the calls of Keras's layers, for each graph that they are traced into."""

import math
from typing import Any, Dict, List, Optional


def root(graph: Any) -> Any:
    """The function's graph that this one is traced in: itself, unless it is a loop's body or an inner function."""
    while getattr(getattr(graph, "outer_graph", None), "outer_graph", None) is not None:
        graph = graph.outer_graph
    return graph


class LayerCount:
    """Calls of leaf layers in one graph and the elements of their outputs; partial where a size is not static."""

    def __init__(self) -> None:
        self.layers = 0
        self.elements = 0
        self.is_partial = False

    def facts(self, rows: float) -> Dict[str, Any]:
        """Layers, and activations of one sample."""
        if not self.layers or not rows:
            return {}
        return {"layers": self.layers, "activation_elements": None if self.is_partial else round(self.elements / rows)}


class LayerCounter:
    """Counts layers by the graph that they are traced into: a function is traced twice where it makes its variables."""

    def __init__(self, keras: Any) -> None:
        self._class = next(owner for owner in keras.layers.Layer.__mro__ if "__call__" in vars(owner))
        self._rnn = getattr(keras.layers, "RNN", ())
        self._original = vars(self._class)["__call__"]
        self._inside_rnn = 0
        self._calls = 0
        self._counts: Dict[int, LayerCount] = {}

    def of(self, graph: Any) -> LayerCount:
        """What was counted in a graph."""
        return self._counts.get(id(graph), LayerCount())

    def __enter__(self) -> "LayerCounter":
        original, counter = self._original, self

        def __call__(layer: Any, *args: Any, **kwargs: Any) -> Any:
            is_rnn = bool(counter._rnn) and isinstance(layer, counter._rnn)
            counter._inside_rnn += is_rnn
            calls_before = counter._calls
            try:
                outputs = original(layer, *args, **kwargs)
            finally:
                counter._inside_rnn -= is_rnn
            if not counter._inside_rnn and calls_before == counter._calls:
                counter._count(layer, outputs)
            return outputs

        self._class.__call__ = __call__
        return self

    def __exit__(self, *_exc: Any) -> None:
        self._class.__call__ = self._original

    def _count(self, layer: Any, outputs: Any) -> None:
        kind = type(layer).__name__
        outputs = outputs if isinstance(outputs, (list, tuple)) else [outputs]
        tensors = [one for one in outputs if hasattr(one, "shape") and type(one).__name__ != "KerasTensor"]
        if kind == "InputLayer" or not tensors:
            return
        self._calls += 1
        count = self._counts.setdefault(_traced_in(tensors[0]), LayerCount())
        for tensor in tensors:
            sizes = sizes_of(tensor)
            if None in sizes:
                count.is_partial = True
            else:
                count.elements += int(math.prod(size or 0 for size in sizes))
        if kind not in ("Flatten", "Reshape", "Identity"):
            count.layers += 2 if kind.startswith("SeparableConv") else 1


def _traced_in(tensor: Any) -> int:
    """Identity of the graph that a tensor is traced in, of None where there is no graph."""
    graph = getattr(tensor, "graph", None)
    return id(graph if graph is None else root(graph))


def sizes_of(tensor: Any) -> List[Optional[int]]:
    """Sizes of a tensor's axes, as far as they are static."""
    try:
        return [None if size is None else int(size) for size in tensor.shape]
    except ValueError:  # TensorFlow does not even know how many axes it has
        return [None]
