"""GRES texts: ``gpu:a100:4(S:0-1),gpu:h100:2(IDX:0,3),shard:8`` to counts of GPUs by type. Pure functions."""

from __future__ import annotations

import re

_SUFFIX = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3}


def parse_gres(text: str) -> tuple[tuple[str | None, int], ...]:
    """Read a node's ``Gres=`` or ``GresUsed=`` as (type, count) for its GPUs, in order, same types added up.

    A GPU without a type has the type None; a count that is left out is 1. Other resources (shard, mps, nic) are left
    out. A GPU's full name may stand for its type, colons excepted.
    """
    counts: dict[str | None, int] = {}
    for item in _items(text.replace("(null)", "")):
        item_text = item.removeprefix("gres/").removeprefix("gres:")
        name, _, rest = item_text.partition(":")
        if name.strip() != "gpu":
            continue
        gres_type, count = _type_and_count(rest)
        counts[gres_type] = counts.get(gres_type, 0) + count
    return tuple(counts.items())


def slurm_type(name: str) -> str:
    """A GPU's full name as Slurm's own detection spells its type: ``tesla_v100-pcie-32gb``; a type stays as it is.

    gres.conf's AutoDetect=nvml writes names in lower case with underscores for spaces, which no type may have.
    """
    return re.sub(r"\s+", "_", name.lower()) if re.search(r"\s", name) else name


def _type_and_count(text: str) -> tuple[str | None, int]:
    """Read ``a100:4``, ``:4`` (a type that Slurm shows as (null)), ``4``, ``a100`` or nothing."""
    gres_type, colon, number = text.rpartition(":")
    if not colon:
        gres_type, number = ("", text) if _count(text) is not None else (text, "1")
    count = _count(number or "1")
    if count is None:
        gres_type, count = text, 1
    return gres_type.strip() or None, count


def _count(text: str) -> int | None:
    match = re.fullmatch(r"(\d+)([KMG]?)", text.strip(), re.IGNORECASE)
    return None if match is None else int(match[1]) * _SUFFIX[match[2].upper()]


def _items(text: str) -> list[str]:
    """Split at the commas that stand outside brackets, and drop the brackets: ``(S:0-1)`` and ``(IDX:0,3)``."""
    return [item.strip() for item in re.sub(r"\([^)]*\)", "", text).split(",") if item.strip()]
