"""LSTM, GRU and simple RNN as two matrix products a layer and direction: the same FLOPs as step by step, at once.

Unrolled over its time steps a recurrent layer takes thousands of operations, and the fused kernels show no FLOPs. All
hidden states together times the recurrent weights cost the same, forward and backward; values do not matter here.
"""

from typing import Any, Callable, Sequence

import torch

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


def attach() -> None:
    """Replace the kernels that torch.nn's recurrent layers call."""
    for name in _GATES:
        if hasattr(torch._VF, name):
            setattr(torch._VF, name, _layers(name, getattr(torch._VF, name)))


def _layers(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def run(data: Any, *rest: Any) -> Any:
        packed = isinstance(rest[0], torch.Tensor) and not isinstance(rest[1], (list, tuple, bool)) and rest[0].dim() == 1
        states, weights, has_biases = (rest[1], rest[2], rest[3]) if packed else (rest[0], rest[1], rest[2])
        if not weights[0].is_meta:
            return original(data, *rest)
        layers, bidirectional = (rest[4], rest[7]) if packed else (rest[3], rest[6])
        outputs = _all_layers(_GATES[kind], data, weights, has_biases, layers, 2 if bidirectional else 1)
        if kind == "lstm":
            return outputs, torch.empty_like(states[0]), torch.empty_like(states[1])
        return outputs, torch.empty_like(states)

    return run


def _all_layers(
    gates: int, data: Any, weights: Sequence[Any], has_biases: bool, layers: int, directions: int
) -> Any:
    each = len(weights) // (layers * directions)
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            first = (layer * directions + direction) * each
            outputs.append(_direction(gates, data, weights[first : first + each], 4 if has_biases else 2))
        data = outputs[0] if len(outputs) == 1 else torch.cat(outputs, -1)
    return data


def _direction(gates: int, data: Any, weights: Sequence[Any], plain: int) -> Any:
    linear = torch.nn.functional.linear
    hidden = int(weights[0].shape[0]) // gates
    from_data = linear(data, weights[0])
    states = from_data[..., : int(weights[1].shape[1])]
    if int(weights[1].shape[1]) > from_data.shape[-1]:
        states = from_data
    output = (from_data + linear(states, weights[1]))[..., :hidden]
    if plain == 4:
        output = output + (weights[2] + weights[3])[:hidden]
    if len(weights) > plain:  # an LSTM with projections
        output = linear(output, weights[plain])
    return output
