"""A site's own GPUs: entries to add to the catalogue, or to put in place of one that is wrong.

    [[gpus]]
    name = "NVIDIA A100-SXM4-80GB"     # a GPU of the catalogue, whose values hold where none is written here
    gres_types = ["a100", "bigmem"]    # what this site calls it
    tdp = 360                          # W; this site caps its A100s
    context_idle = 69                  # W; measured here without work, with a process that holds a context

Every mistake is a ConfigurationError that names the file, the line and the field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from advisor.inventory.catalogue import GIGA, TERA, Catalogue, load_catalogue, with_site_gpus
from advisor.inventory.model import GpuModel
from advisor.inventory.toml_table import Table, read_table

_FIELDS = (
    "name", "gres_types", "architecture", "cuda_cores", "memory", "bandwidth_gb_s", "tdp", "fp64_tflops", "fp32_tflops",
    "tf32_tflops", "fp16_tflops", "bf16_tflops", "year", "idle", "context_idle", "full_load_share",
)  # fmt: skip
# A new GPU cannot be predicted for without these.
_NEEDED = ("cuda_cores", "memory", "bandwidth_gb_s", "tdp", "fp32_tflops")


def catalogue_with(site_file: Path | None) -> Catalogue:
    """The shipped catalogue, with the site's GPUs where the setting ``gpu_catalogue`` names a file.

    Raises:
        ConfigurationError: the file cannot be read or has a mistake.
    """
    return load_catalogue() if site_file is None else read_site_gpus(site_file, load_catalogue())


def read_site_gpus(path: Path, catalogue: Catalogue) -> Catalogue:
    """Read a site's GPU file and return the catalogue with it.

    Raises:
        ConfigurationError: the file cannot be read or has a mistake.
    """
    top = read_table(path, "GPU file")
    top.only(("gpus",))
    return with_site_gpus(catalogue, [_gpu(table, catalogue, path) for table in top.tables("gpus")])


def _gpu(table: Table, catalogue: Catalogue, path: Path) -> tuple[GpuModel, Sequence[str]]:
    table.only(_FIELDS)
    name = table.text("name")
    known = next((entry.gpu for entry in catalogue.entries if entry.gpu.name.lower() == name.lower()), None)
    if known is None:
        for field in _NEEDED:
            if field not in table.values:
                raise table.mistake(field, f"'{name}' is not in the catalogue, and a new GPU needs it")
    base = known or GpuModel(name=name)
    bandwidth = table.number("bandwidth_gb_s")
    tdp_w = table.number("tdp") or base.tdp_w
    own_power = any(field in table.values for field in ("idle", "context_idle", "full_load_share"))
    return replace(
        base,
        architecture=table.optional_text("architecture") or base.architecture,
        cuda_cores=table.count("cuda_cores") or base.cuda_cores,
        memory_bytes=table.memory("memory") or base.memory_bytes,
        memory_bandwidth_bytes_per_s=base.memory_bandwidth_bytes_per_s if bandwidth is None else bandwidth * GIGA,
        tdp_w=tdp_w,
        peak_fp64_flops_per_s=_tera(table, "fp64_tflops", base.peak_fp64_flops_per_s),
        peak_fp32_flops_per_s=_tera(table, "fp32_tflops", base.peak_fp32_flops_per_s),
        peak_tf32_flops_per_s=_tera(table, "tf32_tflops", base.peak_tf32_flops_per_s),
        peak_fp16_flops_per_s=_tera(table, "fp16_tflops", base.peak_fp16_flops_per_s),
        peak_bf16_flops_per_s=_tera(table, "bf16_tflops", base.peak_bf16_flops_per_s),
        launch_year=table.count("year") or base.launch_year,
        idle_w=table.number("idle") or base.idle_w,
        context_idle_w=table.number("context_idle") or base.context_idle_w,
        full_load_share=table.number("full_load_share") or _share_under(tdp_w, base),
        power_source=f"the site's {path.name}" if own_power else base.power_source,
    ), table.words("gres_types")


def _share_under(limit_w: float | None, gpu: GpuModel) -> float | None:
    """The share of another power limit that the same full load reaches."""
    if gpu.full_load_share is None or not gpu.tdp_w or not limit_w:
        return gpu.full_load_share
    return min(1.0, gpu.full_load_share * gpu.tdp_w / limit_w)


def _tera(table: Table, field: str, otherwise: float | None) -> float | None:
    value = table.number(field)
    return otherwise if value is None else value * TERA
