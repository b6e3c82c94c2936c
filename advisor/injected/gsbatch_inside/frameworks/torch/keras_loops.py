"""Keras 3 on PyTorch in a script's own loop: its layers count as modules, and its optimizers as PyTorch's."""

import sys
from typing import Any, Dict, Tuple

from ...dry_run.session import DryRun
from .keras_pass import on_the_graph
from .model import Networks
from .training import Training


def attach(keras: Any, session: DryRun, networks: Networks, training: Training) -> None:
    """Watch calls of layers and steps of optimizers; all weights are on PyTorch's meta device."""
    networks.watch_calls(keras.layers.Layer)
    session.keep(_ForGood(on_the_graph(keras, sys.modules["torch"])))
    kind = next(one for one in keras.optimizers.Optimizer.__mro__ if "apply" in vars(one))
    known: Dict[int, Tuple[Any, int]] = {}

    def apply(optimizer: Any, grads: Any, trainable_variables: Any = None) -> None:
        variables = trainable_variables if trainable_variables is not None else optimizer._trainable_variables
        if id(optimizer) not in known:
            like_torch = type(type(optimizer).__name__, (), {})()
            like_torch.param_groups = [{"params": [variable.value for variable in variables]}]
            known[id(optimizer)] = (like_torch, training.register(like_torch))
        training.stepped(*known[id(optimizer)])

    kind.apply = apply


class _ForGood:
    """A context that is never left."""

    def __init__(self, context: Any) -> None:
        self._context = context
        context.__enter__()
