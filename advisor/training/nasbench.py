"""Counts the networks of EC-NAS-Bench from their cells: three stacks of three NASBench-101 cells on 32x32 images.

Parameter counts equal the published ones for every network of the data set, which is how the operations' numbering and
the channel rule were checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

_CONV3, _CONV1 = 0, 1
_STACKS, _CELLS, _STEM_CHANNELS, _SIDE, _CLASSES = 3, 3, 128, 32, 10
_LAYERS_OF_A_CONVOLUTION = 3  # convolution, normalisation, activation


@dataclass(slots=True)
class CellNetwork:
    """What a network of cells holds and costs, for one image; FLOPs count a multiply-accumulate as two."""

    parameters: int = 0
    forward_flops: int = 0
    pointwise_flops: int = 0
    activation_elements: int = 0
    layers: int = 0
    _side: int = field(default=_SIDE, repr=False)

    def _convolution(self, channels_in: int, channels_out: int, kernel: int) -> None:
        pixels = self._side**2
        self.parameters += channels_in * channels_out * kernel**2 + 2 * channels_out
        flops = 2 * channels_in * channels_out * kernel**2 * pixels
        self.forward_flops += flops
        self.pointwise_flops += flops if kernel == 1 else 0
        self.activation_elements += _LAYERS_OF_A_CONVOLUTION * channels_out * pixels
        self.layers += _LAYERS_OF_A_CONVOLUTION

    def _elementwise(self, channels: int, times: int = 1) -> None:
        self.activation_elements += times * channels * self._side**2
        self.layers += times


def cell_network(matrix: Sequence[Sequence[int]], operations: Sequence[int]) -> CellNetwork:
    """Count the network whose cell has this adjacency matrix and these operations (0: 3x3, 1: 1x1, 2: max pool)."""
    edges, labels = _pruned(matrix, operations)
    network = CellNetwork()
    network._convolution(3, _STEM_CHANNELS, 3)  # noqa: SLF001 (this module builds it)
    channels = _STEM_CHANNELS
    for stack in range(_STACKS):
        wider = channels * 2 if stack else channels
        if stack:
            network._side //= 2  # noqa: SLF001
            network._elementwise(channels)  # noqa: SLF001
        for _ in range(_CELLS):
            _add_cell(network, edges, labels, channels, wider)
            channels = wider
    network.parameters += channels * _CLASSES + _CLASSES
    network.forward_flops += 2 * channels * _CLASSES
    network.activation_elements += channels + _CLASSES
    network.layers += 2
    return network


def _add_cell(network: CellNetwork, edges: list[list[int]], labels: list[int], inputs: int, outputs: int) -> None:
    last = len(edges) - 1
    if last == 1:
        network._convolution(inputs, outputs, 1)  # noqa: SLF001
        return
    channels = _vertex_channels(inputs, outputs, edges)
    for vertex in range(1, last):
        width = channels[vertex]
        if edges[0][vertex]:
            network._convolution(inputs, width, 1)  # noqa: SLF001
        if labels[vertex] == _CONV3:
            network._convolution(width, width, 3)  # noqa: SLF001
        elif labels[vertex] == _CONV1:
            network._convolution(width, width, 1)  # noqa: SLF001
        else:
            network._elementwise(width)  # noqa: SLF001
        network._elementwise(width, sum(row[vertex] for row in edges) - 1)  # noqa: SLF001 (sums of several inputs)
    if edges[0][last]:
        network._convolution(inputs, outputs, 1)  # noqa: SLF001
        network._elementwise(outputs)  # noqa: SLF001
    if sum(row[last] for row in edges[1:]) > 1:
        network._elementwise(outputs)  # noqa: SLF001 (concatenation)


def _vertex_channels(inputs: int, outputs: int, edges: list[list[int]]) -> list[int]:
    """Channels of each vertex: those that end in the output share its channels, others follow their successors."""
    last = len(edges) - 1
    channels = [0] * len(edges)
    channels[0], channels[last] = inputs, outputs
    into_last = sum(edges[vertex][last] for vertex in range(1, last))
    share, rest = divmod(outputs, into_last) if into_last else (0, 0)
    for vertex in range(1, last):
        if edges[vertex][last]:
            channels[vertex] = share + (1 if rest > 0 else 0)
            rest -= 1
    for vertex in range(last - 2, 0, -1):
        if not edges[vertex][last]:
            channels[vertex] = max(channels[after] for after in range(vertex + 1, last) if edges[vertex][after])
    return channels


def _pruned(matrix: Sequence[Sequence[int]], operations: Sequence[int]) -> tuple[list[list[int]], list[int]]:
    """The cell without the vertices that do not lie between its input and its output."""
    size = len(matrix)
    forward, backward = {0}, {size - 1}
    for vertex in range(size):
        if vertex in forward:
            forward |= {after for after in range(vertex + 1, size) if matrix[vertex][after]}
    for vertex in reversed(range(size)):
        if vertex in backward:
            backward |= {before for before in range(vertex) if matrix[before][vertex]}
    keep = sorted(forward & backward)
    return [[matrix[a][b] for b in keep] for a in keep], [operations[a] for a in keep]
