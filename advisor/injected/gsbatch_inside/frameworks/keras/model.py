"""What a Keras model is: parameters, layers, activations, FLOPs. Keras 2 and 3; FLOPs on the TensorFlow back end."""

import gc
import math
import re
import sys
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Tuple

from ...dry_run import report
from ..tensorflow import graph_flops
from . import backends as keras_backends
from . import data as keras_data

_GENERIC = re.compile(r"^(sequential|functional|model)(_\d+)?$")
_BATCH = 2  # a batch of one would be squeezed away by some models
# Names that keras.applications gives its models, without digits of the input size, and what the networks are called.
_APPLICATIONS = {
    "inception_v3": "InceptionV3", "inception_resnet_v2": "InceptionResNetV2", "nasnet_mobile": "NASNetMobile",
    "nasnet_large": "NASNetLarge", "xception": "Xception", "vgg16": "VGG16", "vgg19": "VGG19",
    "resnet50": "ResNet50", "resnet101": "ResNet101", "resnet152": "ResNet152", "resnet50v2": "ResNet50V2",
    "resnet101v2": "ResNet101V2", "resnet152v2": "ResNet152V2", "mobilenetv2": "MobileNetV2", "mobilenet": "MobileNet",
    "mobilenetv3small": "MobileNetV3Small", "mobilenetv3large": "MobileNetV3Large", "densenet121": "DenseNet121",
    "densenet169": "DenseNet169", "densenet201": "DenseNet201", "nasnet": "NASNetMobile",
}  # fmt: skip


class Traced(NamedTuple):
    """Facts of a traced model and the shape of its output without the batch axis (a list where it has several)."""

    facts: Dict[str, Any]
    output: Any = None


def framework(keras: Any) -> str:
    """The back end's name as the corpus writes it."""
    return {"torch": "pytorch"}.get(backend(keras), backend(keras))


def backend(keras: Any) -> str:
    """The back end's name as Keras writes it; Keras 2 has only one."""
    try:
        return str(keras.backend.backend())
    except AttributeError:
        return "tensorflow"


def optimizer(model: Any) -> Optional[str]:
    """Name of the optimizer; a wrapper for loss scaling is looked through."""
    if getattr(model, "optimizer", None) is None or "compile" in vars(type(model)):
        return _own_optimizer(model)
    found = model.optimizer
    while found is not None and hasattr(found, "inner_optimizer"):
        found = found.inner_optimizer
    return None if found is None or isinstance(found, str) else type(found).__name__.lower()


def accumulation(keras: Any, model: Any) -> Optional[int]:
    """Batches whose gradients are gathered for one step; what a ``train_step`` of the author does is not known here."""
    found = getattr(model, "optimizer", None)
    if _has_own_step(keras, model) or found is None or isinstance(found, str):
        return None
    return int(getattr(found, "gradient_accumulation_steps", None) or 1)


def _own_optimizer(model: Any) -> Optional[str]:
    """The one kind of optimizer that a model with its own ``compile`` holds (GAN); Keras's default is not it."""
    kinds = {
        type(value).__name__.lower()
        for attribute, value in vars(model).items()
        if hasattr(value, "apply_gradients") and attribute not in ("optimizer", "_optimizer")
    }
    return kinds.pop() if len(kinds) == 1 else None


def precision(model: Any) -> Optional[str]:
    """The dtype policy that most layers compute in."""
    names: Dict[str, int] = {}
    for layer in _leaves(model):
        policy = getattr(layer, "dtype_policy", None)
        name = getattr(policy, "name", None)
        if name:
            names[name] = names.get(name, 0) + 1
    return max(names, key=lambda name: names[name]) if names else None


def is_built(model: Any) -> bool:
    """Whether the weights are there."""
    return bool(getattr(model, "built", False)) and bool(model.weights)


def counts(model: Any) -> Dict[str, Any]:
    """Parameters, all and trainable."""
    if not model.weights:
        return {}
    trainable = sum(_size(weight) for weight in model.trainable_weights)
    return {"parameters": sum(_size(weight) for weight in model.weights), "trainable_parameters": trainable}


def weight_sizes(weights: Iterable[Any]) -> Dict[int, int]:
    """Elements of each weight, by an identity that the ways to get at it share."""
    return {id(handle(weight) if handle(weight) is not None else weight): _size(weight) for weight in weights}


def _size(weight: Any) -> int:
    return int(math.prod(int(size) for size in weight.shape))


def name(keras: Any, model: Any) -> Optional[str]:
    """The network's name: a known one that it is or is built on, the author's class or name, else unknown."""
    own = _application(model)
    if own:
        return own
    last_layers = {id(layer) for layer in _all_layers(model)}
    for other in gc.get_objects():
        if isinstance(other, keras.Model) and other is not model and _application(other):
            layers = getattr(other, "layers", None)
            if layers and (id(layers[-1]) in last_layers or id(other) in last_layers):
                return _application(other)
    kind = type(model).__name__
    if kind not in ("Model", "Functional", "Sequential"):
        return kind
    return None if _GENERIC.match(model.name) else str(model.name)


def _application(model: Any) -> Optional[str]:
    given = str(getattr(model, "name", "")).lower()
    found = _APPLICATIONS.get(given) or _APPLICATIONS.get(re.sub(r"_\d.*$", "", given))
    if found:
        return found
    match = re.match(r"^efficientnet(v2)?[-_]?(b\d|s|m|l)$", given)
    return "EfficientNet%s%s" % ((match.group(1) or "").upper(), match.group(2).upper()) if match else None


def _all_layers(model: Any) -> List[Any]:
    try:
        return list(model._flatten_layers())
    except Exception:
        return list(getattr(model, "layers", []))


def _leaves(model: Any) -> List[Any]:
    return [layer for layer in _all_layers(model) if not getattr(layer, "layers", None)]


def traced(keras: Any, model: Any, data: "keras_data.Data") -> Traced:
    """Trace a forward pass on two symbolic samples and read FLOPs, layers and activations from it."""
    if framework(keras) != "tensorflow":
        return _passed(keras, model, data)
    counter = LayerCounter(keras)
    try:
        if not is_built(model):
            _trace(model, data)  # building calls every layer too; only the second trace is one forward pass
        with counter:
            concrete, output = _trace(model, data)
    except Exception as exc:
        found = _train_step_facts(model, data)  # a GAN has no forward pass of its own
        if not found:
            report.note("the model could not be traced: %s: %s" % (type(exc).__name__, str(exc).strip()[:120]))
        return Traced(found)
    handles = {id(one) for one in (handle(weight) for weight in model.trainable_weights) if one is not None}
    cost = graph_flops.cost_of(concrete, handles)
    if cost.unknown:
        report.note("not counted in the FLOPs: " + ", ".join(cost.unknown[:5]))
    facts: Dict[str, Any] = counter.of(concrete.graph).facts(_BATCH)
    if not cost.unknown:  # a sum with a gap would be a wrong value
        facts.update(forward_flops_per_sample=cost.forward / _BATCH, training_flops_per_sample=cost.training / _BATCH)
    if _has_own_step(keras, model):
        facts.update(_train_step_facts(model, data))
    return Traced(facts, output)


def _passed(keras: Any, model: Any, data: "keras_data.Data") -> Traced:
    """The same on the other back ends."""
    one_pass = keras_backends.passes().get(keras.backend.backend())
    if one_pass is None:
        report.note("FLOPs are not counted on this back end of Keras")
        return Traced({})
    counter = LayerCounter(keras)
    try:
        specs = _model_specs(model, data.specs)
        if not is_built(model):
            keras_backends.build(keras, model, specs, _BATCH)
        found = one_pass(keras, model, specs, _BATCH, counter)
    except Exception as exc:
        report.note("the model could not be traced: %s: %s" % (type(exc).__name__, str(exc).strip()[:120]))
        return Traced({})
    if found.unknown:
        report.note("not counted in the FLOPs: " + ", ".join(found.unknown[:5]))
    shapes = [tuple(one.shape[1:]) for one in keras.tree.flatten(found.outputs)]
    facts = counter.of(None).facts(_BATCH)
    if not found.unknown:
        facts.update(forward_flops_per_sample=found.forward / _BATCH, training_flops_per_sample=found.training / _BATCH)
        facts.update(saved_bytes_per_sample=found.saved and found.saved // _BATCH)
    if _has_own_step(keras, model):
        report.note("its own train_step may cost more than one pass of its network")
        facts.pop("training_flops_per_sample", None)
    return Traced(facts, shapes[0] if len(shapes) == 1 else shapes)


def handle(weight: Any) -> Any:
    value = getattr(weight, "value", weight)  # Keras 3 wraps the tf.Variable, Keras 2 is one (its value is a method)
    return getattr(weight if callable(value) else value, "handle", None)


def _trace(model: Any, data: "keras_data.Data") -> Any:
    import tensorflow

    specs = _tensor_specs(tensorflow, _model_specs(model, data.specs))
    shapes: List[Any] = []

    def forward(inputs: Any) -> Any:
        try:
            outputs = model(inputs, training=True)
        except TypeError as exc:
            if "training" not in str(exc):
                raise
            outputs = model(inputs)
        flat = tensorflow.nest.flatten(outputs)
        shapes[:] = [tuple(tensor.shape.as_list()[1:]) for tensor in flat]
        return flat

    concrete = tensorflow.function(forward, autograph=False).get_concrete_function(specs)
    return concrete, (shapes[0] if len(shapes) == 1 else list(shapes))


def _model_specs(model: Any, specs: Any) -> Any:
    """Where the data's sizes are not static, the model's own input says what they are."""
    if not any(None in leaf.shape for leaf in keras_data.leaves_of(specs)) and specs is not None:
        return specs
    inputs = getattr(model, "inputs", None)
    if inputs:
        own = [
            keras_data.Spec(tuple(tensor.shape[1:]), str(getattr(tensor.dtype, "name", tensor.dtype)))
            for tensor in inputs
        ]
        if not any(None in leaf.shape for leaf in own):
            return own[0] if len(own) == 1 else own
    if specs is None:
        raise ValueError("its input is not known before training")
    return specs


def input_shape(model: Any, data: "keras_data.Data") -> Optional[Tuple[int, ...]]:
    """The shape of one sample of the largest input, of the model's own where the data do not say."""
    try:
        return data.input_shape or keras_data.input_shape(_model_specs(model, data.specs))
    except ValueError:
        return None


def _tensor_specs(tensorflow: Any, specs: Any) -> Any:
    if isinstance(specs, keras_data.Spec):
        if any(size is None for size in specs.shape):
            raise ValueError("the size of its input is not known before training")
        dtype = "float32" if specs.dtype == "float64" else specs.dtype
        return tensorflow.TensorSpec((_BATCH,) + tuple(specs.shape), dtype)
    if isinstance(specs, dict):
        return {key: _tensor_specs(tensorflow, value) for key, value in specs.items()}
    return type(specs)(_tensor_specs(tensorflow, value) for value in specs)


def _has_own_step(keras: Any, model: Any) -> bool:
    step = getattr(type(model), "train_step", None)
    return step is not None and not str(getattr(step, "__module__", "")).startswith(
        ("keras.", "tf_keras.", "tensorflow.")
    )


def _train_step_facts(model: Any, data: "keras_data.Data") -> Dict[str, Any]:
    """FLOPs of a training step that the author wrote (GAN, distillation): of all networks and gradients in it."""
    if not hasattr(model, "train_step") or data.specs is None:
        return {}
    from ..tensorflow import loops as tensorflow_loops  # needs TensorFlow, which other back ends have not

    try:
        import tensorflow

        specs = [_tensor_specs(tensorflow, data.specs)]
        if data.target_specs is not None:
            specs.append(_tensor_specs(tensorflow, data.target_specs))
        return tensorflow_loops.cost_of_train_step(model, tuple(specs) if len(specs) > 1 else specs[0], _BATCH)
    except Exception as exc:
        report.note("its train_step could not be traced: %s: %s" % (type(exc).__name__, str(exc).strip()[:120]))
        return {}


def imported_keras() -> Any:
    """The Keras that the script has imported, None where it has none."""
    for name in ("keras", "tf_keras"):
        keras = sys.modules.get(name)
        if hasattr(keras, "layers") and hasattr(keras, "Model"):
            return keras
    return None


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
            sizes = _sizes(tensor)
            if None in sizes:
                count.is_partial = True
            else:
                count.elements += int(math.prod(size or 0 for size in sizes))
        if kind not in ("Flatten", "Reshape", "Identity"):
            count.layers += 2 if kind.startswith("SeparableConv") else 1


def _traced_in(tensor: Any) -> int:
    """Identity of the graph that a tensor is traced in, of None where there is no graph."""
    graph = getattr(tensor, "graph", None)
    return id(graph if graph is None else graph_flops.root(graph))


def _sizes(tensor: Any) -> List[Optional[int]]:
    try:
        return [None if size is None else int(size) for size in tensor.shape]
    except ValueError:  # TensorFlow does not even know how many axes it has
        return [None]
