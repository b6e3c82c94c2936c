"""Facts of the networks that a step over a gradient tape trains."""

import math
from typing import Any, Dict, List, Optional, Tuple

from ...dry_run.work import Kind
from ..keras import model as keras_model
from .keras_calls import Call


def describe(
    tensorflow: Any, calls: List[Call], optimizers: List[Any], shape: Optional[Tuple[int, ...]]
) -> Dict[str, Any]:
    """Facts of the networks that a step calls; ``shape`` is that of a sample of the data set that was last read."""
    networks = list({id(call.layer): call.layer for call in calls}.values())
    shapes = [shape[1:] for call in calls for shape in call.data or call.shapes if None not in shape[1:]]
    kinds = {type(getattr(one, "inner_optimizer", one)).__name__.lower() for one in optimizers}
    return {
        "framework": "tensorflow",
        "backend": "tensorflow",
        "model_name": keras_model.name(tensorflow.keras, networks[0]) if len(networks) == 1 else None,
        "input_shape": max(shapes, key=math.prod) if shapes else shape,
        "optimizer": kinds.pop() if len(kinds) == 1 else None,
        "precision": keras_model.precision(networks[0]) if networks else "float32",
    }


def finish(kind: Kind, calls: List[Call], sources: Dict[int, Any]) -> None:
    """Add the weights of what a step calls, and those that it changes."""
    for call in calls:
        kind.weights.update(keras_model.weight_sizes(call.layer.weights))
    kind.trained.update(keras_model.weight_sizes(sources.values()))
    kind.weights.update(kind.trained)
