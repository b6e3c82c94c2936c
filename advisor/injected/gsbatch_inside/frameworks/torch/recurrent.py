"""LSTM, GRU and simple RNN as two matrix products for each layer and direction, for all time steps at once.

Step by step, a recurrent layer would take thousands of operations, and the fused kernels show no FLOPs. The product of
all hidden states with the recurrent weights costs the same, forward and backward. Only the values differ, and they do
not matter here.
"""

from typing import Any, Callable, List, NamedTuple, Sequence, Tuple

import torch

_GATES = {"lstm": 4, "gru": 3, "rnn_tanh": 1, "rnn_relu": 1}


class _Sizes(NamedTuple):
    """``plain`` is how many weights each layer and direction has without a projection: two, and two biases if any."""

    gates: int
    layers: int
    directions: int
    plain: int


def attach() -> None:
    """Replace the kernels that torch.nn's recurrent layers call."""
    for name in _GATES:
        if hasattr(torch._VF, name):
            setattr(torch._VF, name, _layers(name, getattr(torch._VF, name)))


def _layers(kind: str, original: Callable[..., Any]) -> Callable[..., Any]:
    def run(data: Any, *rest: Any) -> Any:
        packed = isinstance(rest[2], (list, tuple))  # batch sizes come before the states
        batch_sizes, rest = (rest[0], rest[1:]) if packed else (None, rest)
        states, weights, has_biases, layers, _dropout, _training, bidirectional = rest[:7]
        if not weights[0].is_meta:
            return original(data, *([batch_sizes] if packed else []), *rest)
        states = list(states) if kind == "lstm" else [states]
        rows = int(states[0].shape[1])
        # Through a decoder's first states, gradients flow back to the encoder.
        data = sum((state.sum().to(data.dtype) for state in states if state.requires_grad), data)
        last = _last_step(packed, batch_first=not packed and rest[7], rows=rows)
        sizes = _Sizes(_GATES[kind], layers, 1 + bool(bidirectional), 4 if has_biases else 2)
        outputs, ends = _all_layers(data, weights, sizes)
        hidden = torch.stack([last(output) for output, _cells in ends])
        if kind != "lstm":
            return outputs, hidden
        return outputs, hidden, torch.stack([last(cells) for _output, cells in ends])

    return run


def _last_step(packed: bool, batch_first: bool, rows: int) -> Callable[[Any], Any]:
    if packed:
        return lambda output: output[:rows]
    return lambda output: output.select(1 if batch_first else 0, -1)


def _all_layers(data: Any, weights: Sequence[Any], sizes: "_Sizes") -> Tuple[Any, List[Any]]:
    each = len(weights) // (sizes.layers * sizes.directions)
    ends = []
    for layer in range(sizes.layers):
        firsts = [(layer * sizes.directions + direction) * each for direction in range(sizes.directions)]
        found = [_direction(sizes.gates, data, weights[first : first + each], sizes.plain) for first in firsts]
        ends += found
        data = found[0][0] if len(found) == 1 else torch.cat([output for output, _cells in found], -1)
    return data, ends


def _direction(gates: int, data: Any, weights: Sequence[Any], plain: int) -> Tuple[Any, Any]:
    """Outputs and cells of all steps."""
    linear = torch.nn.functional.linear
    hidden = int(weights[0].shape[0]) // gates
    from_data = linear(data, weights[0])
    cells = (from_data + linear(from_data[..., : int(weights[1].shape[1])], weights[1]))[..., :hidden]
    if plain == 4:
        cells = cells + (weights[2] + weights[3])[:hidden]
    return (linear(cells, weights[plain]) if len(weights) > plain else cells), cells
