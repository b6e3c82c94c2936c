"""GPU names as sites and drivers write them, taken apart: ``nvidia_a100-sxm4-80gb_1g.10gb``, ``gtx1080ti``.

A name has a model (``a100``), traits that tell variants of it apart (``sxm4``, ``80gb``, ``ada``), and for a slice of a
GPU its MIG profile. Pure functions: text in, values out.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_MIG = re.compile(r"(?:^|[^a-z0-9])(?:mig)?[^a-z0-9]*(?P<slices>\d)g[._]?(?P<memory>\d+)gb(?:[+._]?me(?:\.all)?)?")
# Words that tell nothing apart: makers, brands whose model numbers are unique, and marketing.
_SILENT = frozenset(
    [
        "nvidia",
        "geforce",
        "tesla",
        "amd",
        "radeon",
        "instinct",
        "gpu",
        "graphics",
        "corporation",
        "generation",
        "edition",
        "tensor",
        "core",
        "inc",
        "intel",
        "data",
        "center",
        "ac",  # the cooling of a B300: air
        "lc",
        "ls",  # a V100 with another cooling plate
    ]
)
_TRAIT = re.compile(
    r"\d{1,3}gb?|pcie|sxm\d?|nvl|hbm\d?e?|quadro|ada|blackwell|pascal|server|workstation|sff|maxq|custom"
)
_GLUED_FRONT = re.compile(r"^(nvidia|geforce|tesla|quadro|amd|instinct)(?=[a-z]*\d)")
_GLUED_BACK = re.compile(r"(?<=\d)(ada|pcie|sxm\d?|nvl)$")
_CLASS = re.compile(r"^(rtx|gtx|gt)(?=.)")
# Code names that sites use as a GRES type, and the models that they may stand for.
_CODE_NAMES = {"pvc": ("max1100", "max1550"), "pontevecchio": ("max1100", "max1550"), "dgxspark": ("gb10",)}
_MEMORY_TRAIT = re.compile(r"(\d+)gb")
_FORM_TRAIT = re.compile(r"pcie|sxm\d?|nvl")


@dataclass(frozen=True, slots=True)
class MigProfile:
    """A MIG slice: compute slices and memory in GB, as in ``1g.10gb``."""

    slices: int
    memory_gb: int

    def __str__(self) -> str:
        return f"{self.slices}g.{self.memory_gb}gb"


@dataclass(frozen=True, slots=True)
class GpuName:
    """A name taken apart. ``model`` is empty where the name was a bare MIG profile."""

    model: str
    traits: frozenset[str]
    mig: MigProfile | None = None


def parse_gpu_name(text: str) -> GpuName:
    """Take a GRES type or a driver's GPU name apart."""
    text = text.lower().replace("max-q", "maxq")
    mig = None
    match = _MIG.search(text)
    if match is not None:
        mig = MigProfile(int(match["slices"]), int(match["memory"]))
        text = text[: match.start()] + " " + text[match.end() :]
    model: list[str] = []
    traits: set[str] = set()
    for word in re.split(r"[^a-z0-9]+", text):
        part, found = _unglue(word)
        traits |= found
        if _TRAIT.fullmatch(part):
            traits.add(f"{part}b" if re.fullmatch(r"\d+g", part) else part)
        elif part and part not in _SILENT:
            model.append(part)
    return GpuName("".join(model), frozenset(traits), mig)


def model_keys(model: str) -> tuple[str, ...]:
    """The ways a model may be called: with and without its class (``rtx3090``, ``3090``; ``k40m``, ``k40``)."""
    keys = [model]
    if _CLASS.match(model):
        keys.append(_CLASS.sub("", model))
    if re.fullmatch(r"k\d+[cm]", model):
        keys.append(model[:-1])
    if re.fullmatch(r"prow\d+", model):
        keys.append(model.removeprefix("pro"))
    if match := re.fullmatch(r"rtxpro(\d+)", model):
        keys.append(f"rtx{match[1]}pro")
    keys.extend(code_name for code_name, models in _CODE_NAMES.items() if model in models)
    return tuple(keys)


def split_trailing_memory(model: str) -> tuple[str, str] | None:
    """Read ``a10080`` (from ``a100_80``) as a model and a memory trait; None where that is no reading of it."""
    match = re.fullmatch(r"([a-z]+\d{2,3}[a-z]?)(12|16|24|32|40|48|64|80|94|96|141|144|180|192)", model)
    return None if match is None else (match[1], f"{match[2]}gb")


def memory_traits(traits: frozenset[str]) -> frozenset[int]:
    """Memory sizes in GB among the traits."""
    return frozenset(int(match[1]) for trait in traits if (match := _MEMORY_TRAIT.fullmatch(trait)))


def evidence_traits(words: tuple[str, ...], model: str) -> frozenset[str]:
    """Traits that a node's features tell about its GPUs of this model (``a100_80gb``, ``sxm4``, ``gpu80gb``).

    A feature that names another model says nothing about this one.
    """
    traits: set[str] = set()
    for word in words:
        name = parse_gpu_name(word)
        trailing = split_trailing_memory(name.model)
        if name.model in {"", "gpu", "mem", "gpumem", "vram", "hbm", *model_keys(model)}:
            traits |= {trait for trait in name.traits if _MEMORY_TRAIT.fullmatch(trait) or _FORM_TRAIT.fullmatch(trait)}
        elif trailing is not None and trailing[0] in model_keys(model):
            traits.add(trailing[1])
        elif glued := re.fullmatch(r"(?:gpu|mem|gpumem|vram)(\d+)gb?", name.model):
            traits.add(f"{glued[1]}gb")
    return frozenset(traits)


def _unglue(word: str) -> tuple[str, set[str]]:
    """Take a brand off the front and a form factor off the back of a word such as ``quadrortx6000`` or ``h100pcie``."""
    traits: set[str] = set()
    if front := _GLUED_FRONT.match(word):
        word = word[front.end() :]
        if front[1] == "quadro":
            traits.add("quadro")
    if back := _GLUED_BACK.search(word):
        traits.add(back[1])
        word = word[: back.start()]
    return word, traits
