"""The GPU catalogue: what a GRES type or a GPU's name stands for, with data-sheet values.

``gpus.csv`` beside this file is written by docs/data/build_gpu_catalogue.py, which says where each value comes from. A
site adds or corrects entries in a TOML file (site_gpus.py). A name is never guessed silently: what is not known comes
back as ``known=False``, and what is ambiguous is decided by the node's features, else for the smaller GPU, and says so
in ``note``.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from advisor.inventory.gpu_names import (
    GpuName,
    MigProfile,
    evidence_traits,
    memory_traits,
    model_keys,
    parse_gpu_name,
    split_trailing_memory,
)
from advisor.inventory.model import GpuModel
from advisor.units import GIB

TERA = 1e12
GIGA = 1e9
UNNAMED_GPU = "GPU of unnamed type"
_FORM_WORDS = ("pcie", "sxm", "nvl")
# Compute slices of a whole GPU, by model (NVIDIA MIG user guide, "Supported MIG profiles").
_MIG_SLICES = {
    "a30": 4, "rtxpro6000": 4, "rtxpro5000": 2, "rtxpro4500": 2,
    "a100": 7, "a800": 7, "h100": 7, "h800": 7, "h20": 7, "h200": 7, "gh200": 7,
    "b200": 7, "gb200": 7, "b300": 7, "gb300": 7,
}  # fmt: skip
# Of eight memory slices, how many a profile of N compute slices of seven has (same guide): the default first, then
# the variant of one slice with twice the memory, such as 1g.10gb of 40 GB. GPUs of four or two slices have as many of
# each.
_MEMORY_EIGHTHS = {1: (1, 2), 2: (2,), 3: (4,), 4: (4,), 7: (8,)}
_MOST_SLICES = 7
# Profiles are named after usable memory, which is up to 2% less than the board's.
_MIG_ROUNDING_GB = 0.5
_MIG_ROUNDING_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class Entry:
    """One GPU of the catalogue with what its names say."""

    gpu: GpuModel
    own_name: GpuName
    traits: frozenset[str]

    @property
    def model(self) -> str:
        """The model that its name says, such as ``a100``."""
        return self.own_name.model


@dataclass(frozen=True)
class Catalogue:
    """All GPUs known here. ``site_types`` maps a site's own GRES types, in lower case, to GPUs; they win."""

    entries: tuple[Entry, ...]
    site_types: tuple[tuple[str, GpuModel], ...] = ()

    def identify(self, gres_type: str | None, *, features: Sequence[str] = ()) -> GpuModel:
        """Find the GPU that a GRES type or a full name stands for; ``features`` are those of the node that has it.

        A GPU that is not in the catalogue comes back with the name it was given and ``known=False``.
        """
        if gres_type is None:
            return self._from_features(tuple(features))
        for site_type, gpu in self.site_types:
            if site_type == gres_type.lower():
                return gpu
        for entry in self.entries:
            if entry.gpu.name.lower() == gres_type.lower():
                return entry.gpu
        name = parse_gpu_name(gres_type)
        for entry in self.entries:  # the driver's own name in another spelling, such as h200 for NVIDIA H200
            if entry.own_name == name:
                return entry.gpu
        if name.mig is not None:
            return self._slice(gres_type, name, name.mig, tuple(features))
        return self._whole(gres_type, name, tuple(features)) or GpuModel(name=gres_type, known=False)

    def _whole(self, written: str, name: GpuName, features: tuple[str, ...]) -> GpuModel | None:
        if not name.model:
            return None
        candidates = self._of_model(name.model)
        wanted = name.traits
        trailing = split_trailing_memory(name.model)
        if not candidates and trailing is not None:
            name = GpuName(trailing[0], name.traits | {trailing[1]})
            candidates, wanted = self._of_model(name.model), name.traits
        if memory_traits(wanted) and not any(memory_traits(wanted) & memory_traits(e.traits) for e in candidates):
            return None
        candidates = _narrow(candidates, wanted)
        if not memory_traits(wanted) and any("custom" not in e.traits for e in candidates):
            candidates = [e for e in candidates if "custom" not in e.traits]
        return _decide(written, candidates, name, features)

    def _of_model(self, model: str) -> list[Entry]:
        return [entry for entry in self.entries if model in model_keys(entry.model)]

    def _slice(self, written: str, name: GpuName, mig: MigProfile, features: tuple[str, ...]) -> GpuModel:
        candidates = [e for e in self.entries if _memory_parts(e, mig) and name.model in {"", *model_keys(e.model)}]
        if not name.model:  # the node's other GPUs and features tell what a bare profile is cut from
            named = {parse_gpu_name(word).model for word in features} - {""}
            candidates = [e for e in candidates if named & set(model_keys(e.model))] or candidates
            models = {entry.model for entry in candidates}
            name = GpuName(models.pop() if len(models) == 1 else "", name.traits)
        candidates = _narrow(candidates, name.traits)
        candidates = _cut_as_the_nodes_other_slices(candidates, features)
        if not memory_traits(name.traits | evidence_traits(features, name.model)):
            candidates = [e for e in candidates if _memory_parts(e, mig) == 1] or candidates
        candidates = [e for e in candidates if "custom" not in e.traits] or candidates
        driver_named = [e for e in candidates if e.own_name == GpuName(name.model, name.traits)]
        whole = _decide(written, driver_named or candidates, name, features)
        if whole is None:
            return GpuModel(name=written, known=False, memory_bytes=mig.memory_gb * GIB)
        return slice_of(whole, mig)

    def _from_features(self, features: tuple[str, ...]) -> GpuModel:
        """What the node's features say where the site gave its GPUs no type: only if they name exactly one model."""
        found = {}
        for feature in features:
            name = parse_gpu_name(feature)
            if name.mig is None and any(char.isdigit() for char in name.model):
                gpu = self._whole(feature, name, features)
                if gpu is not None:
                    found[gpu.name] = gpu
        if len(found) != 1:
            return GpuModel(name=UNNAMED_GPU, known=False, note="the site gives its GPUs no type")
        (gpu,) = found.values()
        return replace(gpu, note="told from the node's features; the site gives its GPUs no type")


@lru_cache(maxsize=1)
def load_catalogue() -> Catalogue:
    """Read the shipped catalogue (about 200 GPUs, a few milliseconds)."""
    text = Path(__file__).with_name("gpus.csv").read_text(encoding="utf-8")
    return Catalogue(tuple(_entry(row) for row in csv.DictReader(text.splitlines())))


def with_site_gpus(catalogue: Catalogue, gpus: Sequence[tuple[GpuModel, Sequence[str]]]) -> Catalogue:
    """Add a site's GPUs, each with its GRES types; one of a name already there replaces that entry."""
    names = {gpu.name for gpu, _ in gpus}
    kept = tuple(entry for entry in catalogue.entries if entry.gpu.name not in names)
    added = tuple(entry_of(gpu) for gpu, _ in gpus)
    types = tuple((gres_type.lower(), gpu) for gpu, gres_types in gpus for gres_type in gres_types)
    return Catalogue(added + kept, types + catalogue.site_types)


def entry_of(gpu: GpuModel, words: str = "") -> Entry:
    """A catalogue entry whose traits are those of its name, its memory size and further words."""
    name = parse_gpu_name(gpu.name)
    traits = name.traits | set(words.split())
    if gpu.memory_bytes is not None:
        traits |= {f"{gpu.memory_bytes / GIB:g}gb"}
    return Entry(gpu, name, frozenset(traits))


def slice_of(whole: GpuModel, mig: MigProfile) -> GpuModel:
    """The MIG slice of a GPU: rates, cores and TDP by its share of compute slices, bandwidth by its share of memory."""
    slices = _MIG_SLICES.get(parse_gpu_name(whole.name).model, _MOST_SLICES)
    share = mig.slices / slices
    memory_bytes = mig.memory_gb * GIB
    memory_share = min(1.0, memory_bytes / whole.memory_bytes) if whole.memory_bytes else share
    return replace(
        whole,
        name=f"{whole.name} MIG {mig}",
        cuda_cores=None if whole.cuda_cores is None else round(whole.cuda_cores * share),
        memory_bytes=memory_bytes,
        memory_bandwidth_bytes_per_s=_scaled(whole.memory_bandwidth_bytes_per_s, memory_share),
        tdp_w=_scaled(whole.tdp_w, share),
        peak_fp64_flops_per_s=_scaled(whole.peak_fp64_flops_per_s, share),
        peak_fp32_flops_per_s=_scaled(whole.peak_fp32_flops_per_s, share),
        peak_tf32_flops_per_s=_scaled(whole.peak_tf32_flops_per_s, share),
        peak_fp16_flops_per_s=_scaled(whole.peak_fp16_flops_per_s, share),
        peak_bf16_flops_per_s=_scaled(whole.peak_bf16_flops_per_s, share),
        idle_w=_scaled(whole.idle_w, share),
        context_idle_w=_scaled(whole.context_idle_w, share),
        slice_of=whole.name,
        slice_share=share,
    )


def _entry(row: dict[str, str]) -> Entry:
    gpu = GpuModel(
        name=row["name"],
        architecture=row["architecture"],
        cuda_cores=int(row["cuda_cores"]),
        memory_bytes=int(float(row["memory_gib"]) * GIB),
        memory_bandwidth_bytes_per_s=float(row["bandwidth_gb_s"]) * GIGA,
        tdp_w=float(row["tdp_w"]),
        peak_fp64_flops_per_s=_tera(row["fp64_tflops"]),
        peak_fp32_flops_per_s=_tera(row["fp32_tflops"]),
        peak_tf32_flops_per_s=_tera(row["tf32_tflops"]),
        peak_fp16_flops_per_s=_tera(row["fp16_tflops"]),
        peak_bf16_flops_per_s=_tera(row["bf16_tflops"]),
        launch_year=int(row["year"]),
        idle_w=_optional(row["idle_w"]),
        context_idle_w=_optional(row["context_idle_w"]),
        full_load_share=_optional(row["full_load_share"]),
        power_source=row["power_source"] or None,
    )
    return entry_of(gpu, row["words"])


def _optional(text: str) -> float | None:
    return float(text) if text else None


def _tera(text: str) -> float | None:
    return float(text) * TERA if text else None


def _scaled(value: float | None, share: float) -> float | None:
    return None if value is None else value * share


def _narrow(candidates: list[Entry], traits: frozenset[str]) -> list[Entry]:
    """Keep, trait by trait, the candidates that have it; a trait that none has tells nothing."""
    for trait in sorted(traits):
        having = [e for e in candidates if trait in e.traits or _is_form_of(trait, e.traits)]
        candidates = having or candidates
    return candidates


def _is_form_of(trait: str, traits: frozenset[str]) -> bool:
    return trait == "sxm" and any(other.startswith("sxm") for other in traits)


def _decide(written: str, candidates: list[Entry], name: GpuName, features: tuple[str, ...]) -> GpuModel | None:
    """One GPU out of those that the name allows: by the node's features, else the smallest, with a note."""
    if not candidates:
        return None
    if len(candidates) > 1 and name.model and features:
        by_features = _narrow(candidates, evidence_traits(features, name.model))
        if len(by_features) == 1:
            return replace(by_features[0].gpu, note=f"'{written}' with the node's features")
        candidates = by_features
    if len(candidates) == 1:
        return candidates[0].gpu
    ranked = sorted(candidates, key=_size)
    others = tuple(sorted(entry.gpu.name for entry in ranked[1:]))
    note = f"'{written}' may also be {', '.join(others)}: taken as the smaller"
    return replace(ranked[0].gpu, note=note, alternatives=others)


def _size(entry: Entry) -> tuple[float, float, float, str]:
    gpu = entry.gpu
    rate = max(gpu.peak_fp16_flops_per_s or 0.0, gpu.peak_fp32_flops_per_s or 0.0)
    return gpu.memory_bytes or 0, rate, gpu.memory_bandwidth_bytes_per_s or 0.0, gpu.name


def _memory_parts(entry: Entry, mig: MigProfile) -> int:
    """Which of the GPU's own profiles it is: 1 the default, 2 that with twice the memory (1g.10gb of 40 GB), 0 none."""
    slices = _MIG_SLICES.get(entry.model)
    if slices is None or entry.gpu.memory_bytes is None or mig.slices > slices:
        return 0
    memory_gb = entry.gpu.memory_bytes / GIB
    eighths = _MEMORY_EIGHTHS.get(mig.slices, ()) if slices == _MOST_SLICES else (8 * mig.slices // slices,)
    for variant, parts in enumerate(eighths, start=1):
        named_gb = memory_gb * parts / 8
        if abs(named_gb - mig.memory_gb) <= _MIG_ROUNDING_GB + _MIG_ROUNDING_SHARE * named_gb:
            return variant
    return 0


def _cut_as_the_nodes_other_slices(candidates: list[Entry], features: tuple[str, ...]) -> list[Entry]:
    """Keep the GPUs of which the node's other MIG slices are a profile too, such as 3g.20gb beside 1g.10gb."""
    for feature in features:
        other = parse_gpu_name(feature)
        if other.mig is not None:
            same = [e for e in candidates if other.model in {"", *model_keys(e.model)} and _memory_parts(e, other.mig)]
            candidates = same or candidates
    return candidates
