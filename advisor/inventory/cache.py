"""A short-lived copy of what Slurm said, so that submissions in a row do not each ask slurmctld."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from advisor.errors import TelemetryError
from advisor.inventory.records import ClusterRecords
from advisor.storage.json_cache import JsonCache
from advisor.storage.plain_data import from_plain, to_plain

_VERSION = 2
_MOST_BYTES = 64 * 1024**2
# One for each cluster, user and backend that somebody asks about.
_MOST_ENTRIES = 20
_CLUSTER_VARIABLES = ("SLURM_CONF", "SLURM_CLUSTERS", "SLURM_CONF_SERVER")


def inventory_cache(folder: Path, *, max_age_s: float) -> JsonCache:
    """The cache of records that are at most ``max_age_s`` old."""
    return JsonCache(
        folder=folder,
        kind="inventory",
        version=_VERSION,
        max_age_s=max_age_s,
        most_bytes=_MOST_BYTES,
        most_entries=_MOST_ENTRIES,
    )


def cluster_question(*, backend: str, user: str, environment: Mapping[str, str]) -> list[str]:
    """What tells one cluster, user and backend from another; the environment says which cluster Slurm would ask."""
    return [backend, user, *(environment.get(name, "") for name in _CLUSTER_VARIABLES)]


def load(cache: JsonCache, question: list[str], *, now_s: float) -> ClusterRecords | None:
    """Read a copy; None where there is none that can be used."""
    answer = cache.load(question, now_s=now_s)
    if answer is None:
        return None
    try:
        records: ClusterRecords = from_plain(ClusterRecords, answer, where="records")
    except TelemetryError:
        return None
    return records


def save(cache: JsonCache, question: list[str], records: ClusterRecords, *, now_s: float) -> None:
    """Write a copy."""
    cache.save(question, to_plain(records), now_s=now_s)
