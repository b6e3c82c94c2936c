"""A site adds and corrects GPUs in a file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from advisor.errors import ConfigurationError
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.site_gpus import catalogue_with, read_site_gpus
from advisor.units import GIB

SITE = """\
[[gpus]]
name = "NVIDIA A100-SXM4-80GB"
gres_types = ["A100", "bigmem"]
tdp = 360

[[gpus]]
name = "ACME T1000"
gres_types = ["acme"]
cuda_cores = 1000
memory = "16G"
bandwidth_gb_s = 500
tdp = 99.5
fp32_tflops = 10
"""


def _file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gpus.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_sites_own_names_win(tmp_path: Path) -> None:
    """``a100`` is ambiguous until the site says what it calls so; its corrections hold, the rest stays."""
    catalogue = read_site_gpus(_file(tmp_path, SITE), load_catalogue())

    gpu = catalogue.identify("a100")
    assert ("NVIDIA A100-SXM4-80GB", 360, 6912, None) == (gpu.name, gpu.tdp_w, gpu.cuda_cores, gpu.note)
    assert gpu == catalogue.identify("bigmem") == catalogue.identify("nvidia_a100-sxm4-80gb")


def test_a_lower_power_limit_moves_the_full_load_share(tmp_path: Path) -> None:
    """An H100 that reaches 83% of 700 W runs at a limit of 500 W; a measured idle power replaces the catalogue's."""
    name = "NVIDIA H100 80GB HBM3"
    path = _file(tmp_path, f'[[gpus]]\nname = "{name}"\ntdp = 500\ncontext_idle = 101\n')

    gpu = read_site_gpus(path, load_catalogue()).identify(name)
    assert (1.0, 101, 71, "the site's gpus.toml") == (
        gpu.full_load_share,
        gpu.context_idle_w,
        gpu.idle_w,
        gpu.power_source,
    )


def test_a_new_gpu_is_known_by_its_type_and_name(tmp_path: Path) -> None:
    """What the file does not say is not known, and is not taken from elsewhere."""
    catalogue = read_site_gpus(_file(tmp_path, SITE), load_catalogue())

    gpu = catalogue.identify("acme")
    assert ("ACME T1000", 16 * GIB, 10e12, None, True) == (
        gpu.name,
        gpu.memory_bytes,
        gpu.peak_fp32_flops_per_s,
        gpu.peak_fp16_flops_per_s,
        gpu.known,
    )


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("tdp = 360", "tdp = -3", "line 4, tdp"),
        ("tdp = 360", "tpd = 3", "line 4, tpd"),
        ('memory = "16G"\n', "", "line 6, memory"),
        ('gres_types = ["acme"]', "gres_types = 3", "line 8, gres_types"),
        ("[[gpus]]", "[[gpu]]", "line 1, gpu"),
    ],
)
def test_a_mistake_names_file_line_and_field(tmp_path: Path, old: str, new: str, place: str) -> None:
    """As in a described cluster."""
    path = _file(tmp_path, SITE.replace(old, new, 1))

    with pytest.raises(ConfigurationError) as caught:
        read_site_gpus(path, load_catalogue())

    assert str(caught.value).startswith(f"{path}, {place}: ")


def test_without_a_file_the_shipped_catalogue_is_used() -> None:
    """The setting is optional."""
    assert load_catalogue() is catalogue_with(None)
