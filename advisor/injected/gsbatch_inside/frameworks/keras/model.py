"""What a Keras model is: its name, parameters, optimizer and precision, in Keras 2 and 3."""

import gc
import math
import re
import sys
from typing import Any, Dict, Iterable, List, Optional, Tuple

from . import data as keras_data

_GENERIC = re.compile(r"^(sequential|functional|model)(_\d+)?$")
# Names that keras.applications gives its models, without digits of the input size, and what the networks are called.
_APPLICATIONS = {
    "inception_v3": "InceptionV3", "inception_resnet_v2": "InceptionResNetV2", "nasnet_mobile": "NASNetMobile",
    "nasnet_large": "NASNetLarge", "xception": "Xception", "vgg16": "VGG16", "vgg19": "VGG19",
    "resnet50": "ResNet50", "resnet101": "ResNet101", "resnet152": "ResNet152", "resnet50v2": "ResNet50V2",
    "resnet101v2": "ResNet101V2", "resnet152v2": "ResNet152V2", "mobilenetv2": "MobileNetV2", "mobilenet": "MobileNet",
    "mobilenetv3small": "MobileNetV3Small", "mobilenetv3large": "MobileNetV3Large", "densenet121": "DenseNet121",
    "densenet169": "DenseNet169", "densenet201": "DenseNet201", "nasnet": "NASNetMobile",
}  # fmt: skip


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
    if has_own_step(keras, model) or found is None or isinstance(found, str):
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


def handle(weight: Any) -> Any:
    """What tells a TensorFlow variable apart in graphs; None for anything else."""
    value = getattr(weight, "value", weight)  # Keras 3 wraps the tf.Variable, Keras 2 is one (its value is a method)
    return getattr(weight if callable(value) else value, "handle", None)


def model_specs(model: Any, specs: Any) -> Any:
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
    """The shape of one sample of the largest input, of the model's own where the data do not say.

    Keras gives samples a last axis of one where only the model's input has it, as with grey images.
    """
    try:
        own = keras_data.input_shape(model_specs(model, None))
    except ValueError:
        own = None
    given = data.input_shape
    if given is None:
        try:
            return keras_data.input_shape(model_specs(model, data.specs))
        except ValueError:
            return None
    return own if own == (*given, 1) else given


def has_own_step(keras: Any, model: Any) -> bool:
    """Whether its author wrote its training step."""
    step = getattr(type(model), "train_step", None)
    return step is not None and not str(getattr(step, "__module__", "")).startswith(
        ("keras.", "tf_keras.", "tensorflow.")
    )


def imported_keras() -> Any:
    """The Keras that the script has imported, None where it has none."""
    for name in ("keras", "tf_keras"):
        keras = sys.modules.get(name)
        if hasattr(keras, "layers") and hasattr(keras, "Model"):
            return keras
    return None
