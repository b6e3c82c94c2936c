"""A described cluster is read like a real one, and every mistake names file, line and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.errors import ConfigurationError
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.described import read_described
from advisor.units import GIB

EXAMPLES = Path(__file__).parent.parent.parent / "docs" / "examples"
DEMO = """\
name = "demo"

[[partitions]]
name = "ampere"
max_time = "2-00:00:00"

[[partitions.nodes]]
count = 4
cpus = 64
memory = "512G"
gres = "gpu:a100:4"
features = ["nvlink", "a100_80gb", "sxm4"]

[[partitions]]
name = "rtx"

[[partitions.nodes]]
name = "desk"
cpus = 8
memory = "32G"
gres = "gpu:NVIDIA GeForce RTX 3090:1"

[[partitions.nodes]]
cpus = 8
memory = "32000M"
gres = "gpu:rtx_3070:1"
unavailable = "drained: fan broken"
"""


def _written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "demo.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_design_example_is_read(tmp_path: Path) -> None:
    """Slurm's own formats: time, memory, GRES with a type or a full name; count makes nodes."""
    inventory = read_described(_written(tmp_path, DEMO), load_catalogue())

    ampere, rtx = inventory.partitions
    assert ("demo", "described", 172800.0) == (inventory.cluster_name, inventory.backend, ampere.max_time_s)
    assert ["ampere1", "ampere2", "ampere3", "ampere4"] == [node.name for node in ampere.nodes]
    assert [(64, 512 * GIB)] * 4 == [(node.cpus, node.memory_bytes) for node in ampere.nodes]
    assert [("a100", 4, "NVIDIA A100-SXM4-80GB")] == [(g.gres_type, g.count, g.gpu.name) for g in ampere.nodes[0].gres]
    assert ["NVIDIA GeForce RTX 3090", "NVIDIA GeForce RTX 3070"] == [node.gres[0].gpu.name for node in rtx.nodes]
    assert [("desk", None), ("rtx2", "drained: fan broken")] == [(n.name, n.unavailable_reason) for n in rtx.nodes]


@pytest.mark.parametrize(
    ("old", "new", "line", "field"),
    [
        ('max_time = "2-00:00:00"', 'max_time = "two days"', 5, "max_time"),
        ('max_time = "2-00:00:00"', "max_time = 2", 5, "max_time"),
        ('max_time = "2-00:00:00"', 'max_tme = "2-00:00:00"', 5, "max_tme"),
        ("cpus = 64", "cpus = 0", 9, "cpus"),
        ("cpus = 64", 'cpus = "64"', 9, "cpus"),
        ("cpus = 64\n", "", 7, "cpus"),
        ('memory = "512G"', 'memory = "512 apples"', 10, "memory"),
        ('memory = "32000M"', "memory = -1", 25, "memory"),
        ('gres = "gpu:a100:4"', 'gres = "fpga:4"', 11, "gres"),
        ('features = ["nvlink", "a100_80gb", "sxm4"]', 'features = "nvlink"', 12, "features"),
        ('name = "rtx"', 'name = "ampere"', 15, "name"),
        ('name = "rtx"', "", 14, "name"),
        ('name = "desk"', "names = 1", 18, "names"),
        ('unavailable = "drained: fan broken"', "unavailable = true", 27, "unavailable"),
        ('name = "demo"', 'title = "demo"', 1, "title"),
    ],
)
def test_a_mistake_names_file_line_and_field(tmp_path: Path, old: str, new: str, line: int, field: str) -> None:
    """The user is led to the very line, in whichever of several tables it stands."""
    path = _written(tmp_path, DEMO.replace(old, new, 1))

    with pytest.raises(ConfigurationError) as caught:
        read_described(path, load_catalogue())

    assert str(caught.value).startswith(f"{path}, line {line}, {field}: ")


def test_an_unknown_field_comes_with_the_closest_known_one(tmp_path: Path) -> None:
    """A typing error is the likeliest cause."""
    path = _written(tmp_path, DEMO.replace("max_time", "maxtime"))

    with pytest.raises(ConfigurationError, match="did you mean 'max_time'"):
        read_described(path, load_catalogue())


def test_what_is_not_toml_names_its_line(tmp_path: Path) -> None:
    """The line is said once, without tomllib's own way to say it."""
    path = _written(tmp_path, DEMO.replace("cpus = 64", "cpus ="))

    with pytest.raises(ConfigurationError, match=rf"^{path}, line 9: Invalid value\.$"):
        read_described(path, load_catalogue())


@pytest.mark.parametrize("text", ["", 'name = "demo"\npartitions = []\n', 'partitions = "ampere"\n'])
def test_a_cluster_without_partitions_is_a_mistake(tmp_path: Path, text: str) -> None:
    """An empty file is not a cluster."""
    with pytest.raises(ConfigurationError, match=r"line [12]"):
        read_described(_written(tmp_path, text), load_catalogue())


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    """The message holds the path that was looked for."""
    path = tmp_path / "nowhere.toml"

    with pytest.raises(ConfigurationError, match=rf"{path} cannot be read: No such file"):
        read_described(path, load_catalogue())


def test_the_papers_environments_are_as_the_paper_says() -> None:
    """Cores, GPU memory and TDP are those of the paper's own table; RAM is what its machines allocated at most."""
    inventory = read_described(EXAMPLES / "paper.toml", load_catalogue())

    gpus = [partition.nodes[0].gres[0].gpu for partition in inventory.partitions]
    assert [(640, 2, 60), (5888, 8, 220), (10496, 24, 350)] == [
        (gpu.cuda_cores, (gpu.memory_bytes or 0) // GIB, gpu.tdp_w) for gpu in gpus
    ]
    assert [32 * GIB] * 3 == [
        min(p.nodes[0].memory_bytes, p.max_memory_per_node_bytes or p.nodes[0].memory_bytes)
        for p in inventory.partitions
    ]


def test_every_gpu_of_the_shipped_data_centre_is_known() -> None:
    """The first thing a newcomer runs shows no unknown and no ambiguous GPU."""
    inventory = read_described(EXAMPLES / "datacentre.toml", load_catalogue())

    gpus = [gres.gpu for partition in inventory.partitions for node in partition.nodes for gres in node.gres]
    assert [] == [gpu.name for gpu in gpus if not gpu.known or gpu.note]
    assert {"NVIDIA GeForce GTX 750 Ti", "NVIDIA GeForce RTX 3070", "NVIDIA GeForce RTX 3090"} <= {g.name for g in gpus}


@pytest.mark.parametrize(
    ("line", "field"),
    [('name = "my part"', "name"), ('gres = "gpu:A100; rm:1"', "gres"), ('gres = "gpu:a\'b:1"', "gres")],
)
def test_names_that_no_header_can_hold_are_mistakes(tmp_path: Path, line: str, field: str) -> None:
    """Such a partition or type cannot exist in a Slurm, and could not be asked for."""
    text = DEMO.replace('name = "rtx"' if field == "name" else 'gres = "gpu:rtx_3070:1"', line)

    with pytest.raises(ConfigurationError, match=rf"line \d+, {field}: .* can"):
        read_described(_written(tmp_path, text), load_catalogue())
