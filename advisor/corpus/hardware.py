"""What a job's GPUs can be and draw, by Slurm and by data sheets: the bounds of what a trace may say of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from advisor.inventory.catalogue import Catalogue, load_catalogue
from advisor.inventory.model import GpuModel, Inventory
from advisor.telemetry.trace import TracedGpu

# Twice the 1,400 W of the largest single GPU sold (NVIDIA GB300): more is a broken sensor or an invention.
MAX_GPU_POWER_W = 2800.0
# Makers sell boards whose limit lies up to 37% above the reference design's (RTX 3090: 480 W for 350 W).
_OVER_TDP = 1.4
# One reading may meet a peak of some milliseconds, which the board's own regulation evens out.
_PEAK_OVER_TDP = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hardware:
    """The GPUs known here, and the names of those that each node has by Slurm; nodes that are not listed may have any.

    ``nodes`` maps a node's name to all names that its GPUs may go by.
    """

    catalogue: Catalogue = field(default_factory=load_catalogue)
    nodes: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def most_w(self, gpus: Iterable[TracedGpu]) -> float:
        """What these GPUs can draw together on average, in W."""
        return sum(self._limit_w(gpu, _OVER_TDP) for gpu in gpus)

    def peaks_w(self, gpus: Iterable[TracedGpu]) -> tuple[float, ...]:
        """What one reading of each GPU can be, in W."""
        return tuple(self._limit_w(gpu, _PEAK_OVER_TDP) for gpu in gpus)

    def _limit_w(self, gpu: TracedGpu, factor: float) -> float:
        model = self.catalogue.identify(gpu.name)
        if model.slice_of is not None:  # a slice's power is read of its whole board
            model = self.catalogue.identify(model.slice_of)
        if not model.known or model.tdp_w is None:
            return MAX_GPU_POWER_W
        return min(factor * model.tdp_w, MAX_GPU_POWER_W)

    def foreign(self, gpus: Iterable[TracedGpu], node: str, gpu_types: Iterable[str]) -> str | None:
        """The name of a GPU that neither the job's types nor the node can have; None where all fit or none is known.

        Args:
            gpus: as a trace names them.
            node: where it was written.
            gpu_types: the types that accounting has for the job's GPUs (``a100``); empty where it has none.
        """
        typed = [self.catalogue.identify(gpu_type) for gpu_type in gpu_types]
        if typed and all(model.known for model in typed):
            allowed = frozenset(name for model in typed for name in names_of(model))
        else:
            allowed = self.nodes.get(node, frozenset())
        if not allowed:
            return None
        for gpu in gpus:
            model = self.catalogue.identify(gpu.name)
            if model.known and allowed.isdisjoint(names_of(model)):
                return gpu.name
        return None


def names_of(model: GpuModel) -> frozenset[str]:
    """All names that a GPU may go by: its own, its board's if it is a slice, and those that the site's name allows."""
    return frozenset({model.name, *model.alternatives, *([model.slice_of] if model.slice_of else [])})


def gpus_of_nodes(inventory: Inventory) -> dict[str, frozenset[str]]:
    """For each node whose GPUs are all known, the names that they may go by."""
    nodes = {node.name: node for partition in inventory.partitions for node in partition.nodes}
    return {
        name: frozenset(found for gres in node.gres for found in names_of(gres.gpu))
        for name, node in nodes.items()
        if node.gres and all(gres.gpu.known for gres in node.gres)
    }
