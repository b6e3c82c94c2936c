"""Keras 3 on PyTorch in a loop of the script's own: its layers train as modules do, its optimizers as PyTorch's do."""

import sys
from typing import Any, Dict, List, Tuple

from ..keras import backends as keras_backends
from . import model as torch_model
from . import training as torch_training

_for_good: List[Any] = []
_known: Dict[int, Tuple[Any, int]] = {}


def attach(keras: Any) -> None:
    """Watch calls of layers and steps of optimizers; all weights are on PyTorch's meta device."""
    torch_model.watch_calls(keras.layers.Layer)
    _for_good.append(keras_backends.on_the_graph(keras, sys.modules["torch"]))
    _for_good[-1].__enter__()
    kind = next(one for one in keras.optimizers.Optimizer.__mro__ if "apply" in vars(one))
    kind.apply = _apply


def _apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> None:
    variables = trainable_variables if trainable_variables is not None else optimizer._trainable_variables
    if id(optimizer) not in _known:
        like_torch = type(type(optimizer).__name__, (), {})()
        like_torch.param_groups = [{"params": [variable.value for variable in variables]}]
        _known[id(optimizer)] = (like_torch, torch_training.register(like_torch))
    torch_training.stepped(*_known[id(optimizer)])
