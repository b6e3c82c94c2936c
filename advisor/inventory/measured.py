"""Which GPU an ambiguous GRES type stands for in a partition, where jobs have run there and measured it.

A bare ``h100`` is a PCIe card of 350 W or an SXM module of 700 W. The recorder writes down what the driver calls the
board, so one recorded run settles it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from advisor.inventory.catalogue import Catalogue
from advisor.inventory.model import GpuModel, Inventory


def settled(inventory: Inventory, measured: Mapping[str, Collection[str]], catalogue: Catalogue) -> Inventory:
    """The inventory with ambiguous GPUs replaced by those that runs measured; ``measured`` names them by partition.

    Where runs of a partition met several of the GPUs that a type may stand for, it stays ambiguous.
    """
    found: dict[tuple[str, GpuModel], GpuModel] = {}

    def settle(partition: str, gpu: GpuModel) -> GpuModel:
        if not gpu.alternatives or partition not in measured:
            return gpu
        if (partition, gpu) not in found:
            met = {gpu.name, *gpu.alternatives} & set(measured[partition])
            note = "told from what runs on this partition measured"
            found[partition, gpu] = replace(catalogue.identify(met.pop()), note=note) if len(met) == 1 else gpu
        return found[partition, gpu]

    return replace(
        inventory,
        partitions=tuple(
            replace(
                partition,
                nodes=tuple(
                    replace(node, gres=tuple(replace(gres, gpu=settle(partition.name, gres.gpu)) for gres in node.gres))
                    for node in partition.nodes
                ),
            )
            if partition.name in measured
            else partition
            for partition in inventory.partitions
        ),
    )
