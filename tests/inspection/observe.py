"""Run a training script whole and write down what it really did: the truth that inspection is held against.

    PYTHON tests/inspection/observe.py OUT.json SCRIPT [ARGUMENT ...]

Runs in the script's own interpreter and shares nothing with advisor/injected: operations are counted as they are
executed, with their real shapes (PyTorch's dispatch, TensorFlow's op callbacks with functions run eagerly), samples as
outermost calls of modules and models see them, steps as optimizers take them. JAX traces its functions and runs them
elsewhere, so that only Keras's own counts are seen there.
"""

from __future__ import annotations

import builtins
import functools
import json
import math
import os
import runpy
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class Observed:
    """What has happened so far; a step is what lies between two calls of one optimizer."""

    def __init__(self) -> None:
        self.flops = {"forward": 0, "backward": 0, "inference": 0}
        self.networks: dict[int, dict[str, Any]] = {}
        self.optimizers: dict[int, dict[str, Any]] = {}
        self.dearest_training_flops_per_sample = 0.0
        self.in_backward = 0
        self.before_step: Callable[[Any], None] = lambda _gradients: None
        self._at_last_step = (0, 0)

    def count(self, flops: int, *, gradients: bool) -> None:
        """Add the FLOPs of one operation."""
        kind = "backward" if self.in_backward else "forward" if gradients else "inference"
        self.flops[kind] += flops

    def called(self, network: Any, sizes: dict[str, int], shape: tuple[int, ...], *, gradients: bool) -> None:
        """Note an outermost call of a network; ``shape`` is its first tensor's, batch axis first."""
        entry = self.networks.setdefault(
            id(network),
            {"class": type(network).__name__, "kept": network, "samples": 0, "calls": 0, "inference_samples": 0,
             "input_shape": [], "batches": {}},
        )  # fmt: skip
        rows = shape[0] if shape else 1
        if not gradients:
            entry["inference_samples"] += rows
            return
        entry.update(sizes)
        entry["most_trainable"] = max(entry.get("most_trainable", 0), sizes["trainable"])
        entry["samples"] += rows
        entry["calls"] += 1
        entry["batches"][rows] = entry["batches"].get(rows, 0) + 1
        entry["input_shape"] = list(shape[1:])

    def stepped(self, optimizer: Any) -> None:
        """Note one step of an optimizer."""
        entry = self.optimizers.setdefault(
            id(optimizer), {"name": type(optimizer).__name__.lower(), "steps": 0, "kept": optimizer}
        )
        entry["steps"] += 1
        flops = self.flops["forward"] + self.flops["backward"]
        samples = max((network["samples"] for network in self.networks.values()), default=0)
        flops_before, samples_before = self._at_last_step
        if samples > samples_before:
            self.dearest_training_flops_per_sample = max(
                self.dearest_training_flops_per_sample, (flops - flops_before) / (samples - samples_before)
            )
            self._at_last_step = (flops, samples)

    def as_json(self) -> dict[str, Any]:
        """All of it, without the objects that were kept alive so that their ids stay theirs."""
        trained = [entry for entry in self.networks.values() if entry["calls"]]
        return {
            "flops": self.flops,
            "dearest_training_flops_per_sample": self.dearest_training_flops_per_sample,
            "networks": [{key: value for key, value in entry.items() if key != "kept"} for entry in trained],
            "inference_samples": sum(entry["inference_samples"] for entry in self.networks.values()),
            "optimizers": [{"name": entry["name"], "steps": entry["steps"]} for entry in self.optimizers.values()],
        }


def first_shape(value: Any) -> tuple[int, ...] | None:
    """Shape of the first tensor in nested arguments; None where there is none or it is symbolic."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        found = (first_shape(item) for item in value)
        return next((shape for shape in found if shape is not None), None)
    if hasattr(value, "data") and hasattr(value, "batch_sizes"):  # a packed sequence
        return (int(value.batch_sizes[0]), int(value.batch_sizes.numel()), *value.data.shape[1:])
    shape = getattr(value, "shape", None)
    if shape is None or not hasattr(value, "dtype"):
        return None
    sizes = tuple(shape)
    return None if any(not isinstance(size, int) for size in sizes) else sizes


def convolution_backward_flops(gradient: Any, inputs: Any, weight: Any, *settings: Any) -> int:
    """Each gradient that is asked for costs what the forward convolution costs.

    PyTorch's own formula takes a depthwise convolution's gradient for that of a full one.
    """
    _bias, _stride, _padding, _dilation, transposed, _output_padding, _groups, wanted = settings
    places = inputs if transposed else gradient
    forward = 2 * places.shape[0] * math.prod(places.shape[2:]) * math.prod(weight.shape)
    return int(forward * sum(wanted[:2]))


def watch_torch(seen: Observed) -> None:
    """Hooks that PyTorch itself offers: every module call, every optimizer step, every operation."""
    import torch  # noqa: PLC0415
    from torch.optim.optimizer import register_optimizer_step_post_hook  # noqa: PLC0415
    from torch.utils._python_dispatch import TorchDispatchMode  # noqa: PLC0415
    from torch.utils.flop_counter import flop_registry  # noqa: PLC0415

    class Counter(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            operation = func._overloadpacket
            if operation is torch.ops.aten.convolution_backward:
                seen.count(convolution_backward_flops(*args), gradients=True)
            elif operation in flop_registry:
                flops = flop_registry[operation](*args, **(kwargs or {}), out_val=out)
                seen.count(int(flops), gradients=torch.is_grad_enabled())
            return out

    depth = [0]

    def note(module: Any, args: Any, kwargs: Any) -> None:
        shape = first_shape([args, kwargs]) if depth[0] == 1 else None
        parameters = [item for item in module.parameters() if not torch.nn.parameter.is_lazy(item)]
        if shape is not None and parameters and "keras" not in sys.modules:
            sizes = {
                "parameters": sum(item.numel() for item in parameters),
                "trainable": sum(item.numel() for item in parameters if item.requires_grad),
            }
            seen.called(module, sizes, shape, gradients=torch.is_grad_enabled())

    def backward(original: Any) -> Any:
        @functools.wraps(original)
        def counted(*args: Any, **kwargs: Any) -> Any:
            seen.in_backward += 1
            try:
                return original(*args, **kwargs)
            finally:
                seen.in_backward -= 1

        return counted

    original_call = torch.nn.Module.__call__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        depth[0] += 1
        note(self, args, kwargs)
        try:
            # oneDNN's recurrent kernels are one operation that has no FLOP formula.
            with torch.backends.mkldnn.flags(enabled=not isinstance(self, torch.nn.RNNBase)):
                return original_call(self, *args, **kwargs)
        finally:
            depth[0] -= 1

    torch.nn.Module.__call__ = call
    torch.autograd.backward = backward(torch.autograd.backward)
    torch.autograd.grad = backward(torch.autograd.grad)
    register_optimizer_step_post_hook(lambda optimizer, *_details: seen.stepped(optimizer))
    Counter().__enter__()


def watch_keras(seen: Observed) -> None:
    """Every outermost model call and every optimizer step, on whatever back end."""
    import keras  # noqa: PLC0415

    depth = [0]
    layer_class = next(owner for owner in keras.layers.Layer.__mro__ if "__call__" in vars(owner))
    original = layer_class.__call__

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        depth[0] += 1
        try:
            out = original(self, *args, **kwargs)
            shape = first_shape([args, kwargs]) if depth[0] == 1 and self.weights else None
            if shape is not None:
                trainable = sum(math.prod(item.shape) for item in self.trainable_weights)
                sizes = {"parameters": self.count_params(), "trainable": trainable}
                seen.called(self, sizes, shape, gradients=_keras_gradients(keras))
            return out
        finally:
            depth[0] -= 1

    layer_class.__call__ = call
    base = next(owner for owner in keras.optimizers.Optimizer.__mro__ if "apply" in vars(owner))
    apply = base.apply

    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not hasattr(self, "inner_optimizer"):
            seen.before_step(args[0] if args else kwargs["grads"])
        result = apply(self, *args, **kwargs)
        if not hasattr(self, "inner_optimizer"):
            seen.stepped(self)
        return result

    base.apply = counted


def _keras_gradients(keras: Any) -> bool:
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return TAPES[0] > 0
    if backend == "torch":
        import torch  # noqa: PLC0415

        return bool(torch.is_grad_enabled())
    return True


TAPES = [0]


class Executed:
    """Operations that TensorFlow ran eagerly since the step before the last one, and what each was made from.

    Eagerly it also computes what no gradient needs (through frozen layers, for one). A traced step does not, so only
    what the gradients that an optimizer takes were made from is counted.
    """

    def __init__(self, seen: Observed) -> None:
        self.seen = seen
        # From an output's id to its operation: FLOPs, phase, ids of inputs; the tensors, so that no id is another's.
        self.now: dict[int, tuple[int, str, list[int], Any]] = {}
        self.before: dict[int, tuple[int, str, list[int], Any]] = {}

    def operation(self, kind: Any, inputs: Any, attributes: Any, outputs: Any, *_name: Any, **where: Any) -> None:
        """One operation, as TensorFlow's op callbacks tell it; those that only build a graph are not executed."""
        if where.get("graph") is not None or not outputs:
            return
        kind = kind.decode() if isinstance(kind, bytes) else kind
        flops = tensorflow_flops(kind, inputs, dict(zip(attributes[::2], attributes[1::2], strict=False)), outputs)
        needs = [] if kind in {"Shape", "ShapeN", "Rank", "Size"} else [id(tensor) for tensor in inputs]
        phase = "backward" if self.seen.in_backward else "forward"
        for tensor in outputs:
            self.now[id(tensor)] = (flops if tensor is outputs[0] else 0, phase, needs, (inputs, outputs))
            if tensor is not outputs[0] and flops:
                needs = [*needs, id(outputs[0])]

    def applied(self, gradients: Any) -> None:
        """An optimizer takes these: count what made them, once."""
        waiting = [id(getattr(gradient, "values", gradient)) for gradient in gradients if gradient is not None]
        while waiting:
            key = waiting.pop()
            flops, phase, needs, _kept = self.now.pop(key, None) or self.before.pop(key, (0, "forward", [], None))
            self.seen.flops[phase] += flops
            waiting += needs
        self.before, self.now = self.now, {}


def watch_tensorflow(seen: Observed) -> None:
    """Run functions eagerly and follow every operation."""
    import tensorflow as tf  # noqa: PLC0415
    from tensorflow.python.framework import op_callbacks  # noqa: PLC0415

    tf.config.run_functions_eagerly(True)
    executed = Executed(seen)
    seen.before_step = executed.applied
    tape = tf.GradientTape
    enter, leave, gradient = tape.__enter__, tape.__exit__, tape.gradient

    def counted_enter(self: Any) -> Any:
        TAPES[0] += 1
        return enter(self)

    def counted_leave(self: Any, *details: Any) -> Any:
        TAPES[0] -= 1
        return leave(self, *details)

    def counted_gradient(self: Any, *args: Any, **kwargs: Any) -> Any:
        seen.in_backward += 1
        try:
            return gradient(self, *args, **kwargs)
        finally:
            seen.in_backward -= 1

    tape.__enter__, tape.__exit__, tape.gradient = counted_enter, counted_leave, counted_gradient
    op_callbacks.add_op_callback(executed.operation)


def tensorflow_flops(kind: str, inputs: Any, attributes: dict[str, Any], outputs: Any) -> int:
    """Two FLOPs a multiply-accumulate, of the operation's real shapes; 0 for what multiplies no matrices."""
    shapes = [tuple(tensor.shape) for tensor in inputs]
    out = tuple(outputs[0].shape) if outputs else ()
    if kind == "MatMul":
        rows, inner = shapes[0]
        if attributes.get("transpose_a"):
            inner = rows
        return int(2 * math.prod(out) * inner)
    if kind.startswith("BatchMatMul"):
        inner = shapes[0][-2] if attributes.get("adj_x") else shapes[0][-1]
        return int(2 * math.prod(out) * inner)
    if kind == "Einsum":
        equation = attributes["equation"]
        terms = (equation.decode() if isinstance(equation, bytes) else equation).split("->")[0].split(",")
        sizes = {
            axis: size
            for term, shape in zip(terms, shapes, strict=True)
            for axis, size in zip(term, shape, strict=True)
        }
        return 2 * math.prod(sizes.values()) if len(terms) > 1 else 0
    kernel_at_work = {"Conv2D": (shapes[1:2], out), "Conv3D": (shapes[1:2], out),
                      "DepthwiseConv2dNative": (shapes[1:2], out),
                      "Conv2DBackpropInput": (shapes[1:2], shapes[2:3]), "Conv2DBackpropFilter": ([out], shapes[2:3]),
                      "DepthwiseConv2dNativeBackpropInput": (shapes[1:2], shapes[2:3]),
                      "DepthwiseConv2dNativeBackpropFilter": ([out], shapes[2:3])}  # fmt: skip
    if kind not in kernel_at_work:
        return 0
    kernels, places = kernel_at_work[kind]
    place = places if places is out else places[0]
    channels_last = attributes.get("data_format") not in (b"NCHW", "NCHW")
    pixels = math.prod(place[:-1]) if channels_last else place[0] * math.prod(place[2:])
    return int(2 * pixels * math.prod(kernels[0]))


def watch_imports(seen: Observed) -> None:
    """Attach to a framework as soon as the script, or what it imports, has wholly imported it."""
    left = {"torch": watch_torch, "tensorflow": watch_tensorflow, "keras": watch_keras}
    original = builtins.__import__

    def importing(*args: Any, **kwargs: Any) -> Any:
        imported = original(*args, **kwargs)
        for name in list(left):
            spec = getattr(sys.modules.get(name), "__spec__", None)
            watch = left.pop(name, None) if spec is not None and not getattr(spec, "_initializing", False) else None
            if watch is not None:
                watch(seen)
        return imported

    builtins.__import__ = importing


def main() -> None:
    """Run the script, whatever its end write what was seen, and end as it ended."""
    out, script, *arguments = sys.argv[1:]
    seen = Observed()
    watch_imports(seen)
    sys.argv = [script, *arguments]
    sys.path[0] = os.path.dirname(os.path.abspath(script))  # noqa: PTH100, PTH120
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        Path(out).write_text(json.dumps(seen.as_json()), encoding="utf-8")


if __name__ == "__main__":
    main()
