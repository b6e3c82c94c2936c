"""FLOPs of a traced TensorFlow graph, forward and with gradients: matrix products and convolutions, 1 MAC = 2 FLOPs.

The operations that the outputs need are walked, into function calls and loops (body times trip count). The backward
pass is not traced. Instead, an operation costs its forward FLOPs once more for each of its two inputs that needs a
gradient, which an input does when a trainable variable is upstream. So a frozen backbone costs its forward pass only,
and the first layer computes no gradient for the data.
"""

from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Set, Tuple

_STOPS = frozenset(
    {"StopGradient", "PreventGradient", "ArgMax", "ArgMin", "Shape", "Size", "Rank", "ZerosLike", "OnesLike"}
)
_CALLS = frozenset({"PartitionedCall", "StatefulPartitionedCall", "SymbolicGradient", "RemoteCall"})
_WHILES = frozenset({"While", "StatelessWhile"})
_CASES = frozenset({"If", "StatelessIf", "Case", "StatelessCase"})
_WITH_KERNEL = {"Conv2D": 2, "Conv3D": 3, "Conv": 2}
_MATMULS = frozenset({"MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "SparseTensorDenseMatMul"})


class Cost(NamedTuple):
    """FLOPs of one call; ``unknown`` names operations that could not be counted."""

    forward: float
    training: float
    unknown: Tuple[str, ...]


class Gradient(NamedTuple):
    """A gradient that a traced step asks for: of ``targets`` in ``graph``, for the variables of these handles.

    A loop's body is a graph of its own: what it costs is the cost of one round.
    """

    graph: Any
    targets: Sequence[Any]
    handles: Set[int]


def cost_of(concrete: Any, trainable_handles: Set[int], *, input_needs_gradient: bool = False) -> Cost:
    """Cost of a concrete function; ``trainable_handles`` are the ids of the resource handles of trainable variables."""
    graph = concrete.graph
    flags = _flags(graph, trainable_handles)
    if input_needs_gradient:
        flags.update({tensor.name: True for tensor in graph.inputs if tensor.dtype.is_floating})
    walk = _Walk()
    forward, training, _outputs = walk.graph(graph, flags, graph.outputs, controls=graph.control_outputs)
    return Cost(forward, training, tuple(sorted(walk.unknown)))


def cost_of_gradients(gradients: Sequence[Gradient]) -> Cost:
    """Cost of a traced step: the forward pass that its gradients share once, and the backward pass of each."""
    walk = _Walk()
    forward = backward = 0.0
    for graph in {id(gradient.graph): gradient.graph for gradient in gradients}.values():
        here = [gradient for gradient in gradients if gradient.graph is graph]
        targets = [target for gradient in here for target in gradient.targets]
        shared, _training, _outputs = walk.graph(graph, {}, targets)
        forward += shared
        for gradient in here:
            flags = _flags(graph, gradient.handles)
            alone, training, _outputs = walk.graph(graph, flags, gradient.targets)
            backward += training - alone
    return Cost(forward, forward + backward, tuple(sorted(walk.unknown)))


def is_in_branch(graph: Any) -> bool:
    """Whether what is traced into this graph happens under a condition only."""
    while graph is not None:
        if type(graph).__name__ == "CondBranchFuncGraph":
            return True
        graph = getattr(graph, "outer_graph", None)
    return False


def _flags(graph: Any, handles: Set[int]) -> Dict[str, bool]:
    """Which captured tensors are handles of these variables, through the graphs that one is traced in."""
    flags = {}
    for external, internal in graph.captures:
        while id(external) not in handles:
            outer = {id(inner): outer for outer, inner in getattr(getattr(external, "graph", None), "captures", ())}
            if id(external) not in outer:
                break
            external = outer[id(external)]
        flags[internal.name] = id(external) in handles
    return flags


class _Walk:
    def __init__(self) -> None:
        self.unknown: Set[str] = set()

    def graph(
        self, graph: Any, flags: Dict[str, bool], outputs: Sequence[Any], controls: Sequence[Any] = ()
    ) -> Tuple[float, float, List[bool]]:
        """Forward and training FLOPs of what ``outputs`` need, and whether each output needs a gradient."""
        needed = _needed(outputs, controls)
        forward = training = 0.0
        for operation in graph.get_operations():  # in topological order: inputs come first, as the graph was traced
            inputs = [flags.get(tensor.name, False) for tensor in operation.inputs]
            if operation.name not in needed:
                continue
            one, with_gradients, results = self._operation(operation, inputs)
            forward += one
            training += with_gradients
            for tensor, flag in zip(operation.outputs, results):
                flags[tensor.name] = flag or flags.get(tensor.name, False)
        return forward, training, [flags.get(tensor.name, False) for tensor in outputs]

    def _operation(self, operation: Any, inputs: List[bool]) -> Tuple[float, float, List[bool]]:
        kind = operation.type
        if kind in _CALLS:
            return self._function(operation.graph, operation.get_attr("f").name, inputs)
        if kind in _WHILES:
            return self._loop(operation, inputs)
        if kind in _CASES:
            return self._branches(operation, inputs)
        flag = any(inputs) and kind not in _STOPS
        results = [flag and _has_gradient(tensor) for tensor in operation.outputs]
        try:
            flops = flops_of(operation)
        except (TypeError, ValueError, IndexError):
            self.unknown.add(kind)
            return 0.0, 0.0, results
        return flops, flops * (1 + sum(inputs[place] for place in _factors(kind) if place < len(inputs))), results

    def _function(self, graph: Any, name: str, inputs: List[bool]) -> Tuple[float, float, List[bool]]:
        function = _function_graph(graph, name)
        if function is None:
            self.unknown.add(name)
            return 0.0, 0.0, []
        flags = {tensor.name: flag for tensor, flag in zip(function.inputs, inputs)}
        return self.graph(function, flags, function.outputs, getattr(function, "control_outputs", ()))

    def _loop(self, operation: Any, inputs: List[bool]) -> Tuple[float, float, List[bool]]:
        body = operation.get_attr("body").name
        trips = _trip_count(operation)
        if trips is None:
            self.unknown.add("a loop of unknown length")
            trips = 1
        flags = list(inputs)
        while (
            True
        ):  # flags that the body sets are inputs of the next round; each round sets at least one, or it is the last
            forward, training, results = self._function(operation.graph, body, list(flags))
            merged = [one or other for one, other in zip(flags, results)] if results else flags
            if merged == flags:
                return trips * forward, trips * training, merged
            flags = merged

    def _branches(self, operation: Any, inputs: List[bool]) -> Tuple[float, float, List[bool]]:
        if operation.type in ("Case", "StatelessCase"):
            names = [branch.name for branch in operation.get_attr("branches")]
        else:
            names = [operation.get_attr(name).name for name in ("then_branch", "else_branch")]
        costs = [self._function(operation.graph, name, list(inputs[1:])) for name in names]
        return max(costs, key=lambda cost: cost[1])


def _needed(outputs: Sequence[Any], controls: Sequence[Any]) -> Set[str]:
    needed: Set[str] = set()
    waiting = [tensor.op for tensor in outputs] + list(controls)
    while waiting:
        operation = waiting.pop()
        if operation.name in needed:
            continue
        needed.add(operation.name)
        waiting.extend(tensor.op for tensor in operation.inputs)
        waiting.extend(operation.control_inputs)
    return needed


def _function_graph(graph: Any, name: Any) -> Optional[Any]:
    if isinstance(name, bytes):
        name = name.decode()
    while graph is not None:
        functions = getattr(graph, "_functions", {})
        for key in (name, name.encode()):
            if key in functions:
                found = functions[key]
                return getattr(found, "graph", None) or getattr(found, "func_graph", None) or _imported(graph, name)
        graph = getattr(graph, "outer_graph", None)
    return None


def _imported(graph: Any, name: str) -> Optional[Any]:
    from tensorflow.python.framework import function_def_to_graph

    definition = graph._get_function(name)
    definition = getattr(definition, "definition", None) or getattr(definition, "function_def", None)
    if definition is None:
        return None
    with graph.as_default():
        return function_def_to_graph.function_def_to_graph(definition)


def _factors(kind: str) -> Tuple[int, int]:
    """Places of the two inputs that an operation multiplies; one of a transposed convolution's others is a size."""
    if kind.endswith("BackpropInput") or "BackpropInputV" in kind:
        return 1, 2
    return (0, 2) if "BackpropFilter" in kind else (0, 1)


def _has_gradient(tensor: Any) -> bool:
    dtype = tensor.dtype
    return bool(dtype.is_floating or dtype.is_complex or dtype.name in ("resource", "variant"))


def _shape(tensor: Any) -> List[int]:
    return [int(size) for size in tensor.shape.as_list()]


def _product(sizes: Sequence[int]) -> float:
    result = 1.0
    for size in sizes:
        result *= size
    return result


def flops_of(operation: Any) -> float:
    """FLOPs of one operation; 0 for all that is neither a matrix product nor a convolution."""
    kind = operation.type
    if kind.startswith("CudnnRNN"):
        raise ValueError("a fused kernel does not show its FLOPs")
    if kind in _WITH_KERNEL:
        kernel = _shape(operation.inputs[1])
        return 2.0 * _product(_shape(operation.outputs[0])) * _product(kernel[:-1])
    if kind == "DepthwiseConv2dNative":
        return 2.0 * _product(_shape(operation.outputs[0])) * _product(_shape(operation.inputs[1])[:2])
    if kind.startswith("DepthwiseConv2dNativeBackprop"):
        kernel = _constant(operation.inputs[1]) if kind.endswith("Filter") else _shape(operation.inputs[1])
        return 2.0 * _product(_shape(operation.inputs[2])) * _product(kernel[:2])
    if kind.startswith(("Conv2DBackprop", "Conv3DBackprop")):
        kernel = _constant(operation.inputs[1]) if "Filter" in kind else _shape(operation.inputs[1])
        return 2.0 * _product(_shape(operation.inputs[2])) * _product(kernel[:-1])
    if kind in _MATMULS:
        left = _shape(operation.inputs[0])
        transposed = _attribute(operation, "transpose_a") or _attribute(operation, "adj_x")
        return 2.0 * _product(_shape(operation.outputs[0])) * (left[-2] if transposed else left[-1])
    if kind in ("Einsum", "XlaEinsum"):
        return _einsum_flops(operation)
    return 0.0


def _einsum_flops(operation: Any) -> float:
    equation = operation.get_attr("equation")
    equation = equation.decode() if isinstance(equation, bytes) else equation
    terms = equation.split("->")[0].split(",")
    if len(terms) < 2:
        return 0.0
    sizes: Dict[str, int] = {}
    for term, tensor in zip(terms, operation.inputs):
        shape = _shape(tensor)
        if "..." in term:
            before, after = term.split("...")
            middle = shape[len(before) : len(shape) - len(after)]
            sizes.update(
                {
                    "...%d" % (len(middle) - index): max(size, sizes.get("...%d" % (len(middle) - index), 1))
                    for index, size in enumerate(middle)
                }
            )
            shape = shape[: len(before)] + shape[len(shape) - len(after) :]
            term = before + after
        sizes.update(zip(term, shape))
    return 2.0 * _product(list(sizes.values()))


def _attribute(operation: Any, name: str) -> bool:
    try:
        return bool(operation.get_attr(name))
    except ValueError:
        return False


def _constant(tensor: Any) -> List[int]:
    from tensorflow.python.framework import tensor_util

    return [int(size) for size in tensor_util.constant_value(tensor)]


def _trip_count(operation: Any) -> Optional[int]:
    """Length of a loop whose bound is static: ``maximum_iterations``, else the size of a list it fills or reads."""
    from tensorflow.python.framework import tensor_util

    bound = tensor_util.constant_value(operation.inputs[1]) if len(operation.inputs) > 1 else None
    if bound is not None and bound.ndim == 0 and int(bound) > 0:
        return int(bound)
    lengths = []
    for tensor in operation.inputs:
        if tensor.dtype.name == "variant" and tensor.op.type == "TensorListReserve":
            length = tensor_util.constant_value(tensor.op.inputs[1])
            if length is not None and int(length) > 1:
                lengths.append(int(length))
        elif tensor.dtype.name == "variant" and tensor.op.type == "TensorListFromTensor":
            length = tensor.op.inputs[0].shape[0]
            if length is not None:
                lengths.append(int(length))
    return max(lengths) if lengths else None
