"""What ran in a partition decides which GPU its ambiguous type stands for."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.described import read_described
from advisor.inventory.measured import settled

CLUSTER = """\
[[partitions]]
name = "hopper"
[[partitions.nodes]]
cpus = 8
memory = "32G"
gres = "gpu:h100:4"
[[partitions]]
name = "other"
[[partitions.nodes]]
cpus = 8
memory = "32G"
gres = "gpu:h100:4"
"""


@pytest.mark.parametrize(
    ("measured", "expected", "limit_w"),
    [
        ({"NVIDIA H100 80GB HBM3"}, "NVIDIA H100 80GB HBM3", 700),
        ({"NVIDIA H100 PCIe"}, "NVIDIA H100 PCIe", 350),
        ({"NVIDIA H100 80GB HBM3", "NVIDIA H100 PCIe"}, "NVIDIA H100 PCIe", 350),
        ({"NVIDIA A40"}, "NVIDIA H100 PCIe", 350),
    ],
)
def test_measured_boards_decide_their_own_partition(
    tmp_path: Path, measured: set[str], expected: str, limit_w: float
) -> None:
    """One board that was met is it; several, or one that the type cannot be, decide nothing."""
    (tmp_path / "c.toml").write_text(CLUSTER)
    catalogue = load_catalogue()
    inventory = settled(read_described(tmp_path / "c.toml", catalogue), {"hopper": measured}, catalogue)

    here, other = (partition.nodes[0].gres[0].gpu for partition in inventory.partitions)
    assert (expected, limit_w) == (here.name, here.tdp_w)
    assert catalogue.identify("h100") == other
    assert (here.alternatives == ()) == (len(measured) == 1 and "H100" in next(iter(measured)))
