"""The ``#SBATCH`` lines that advice adds: only options that the user has not set anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

from advisor.errors import RenderingError
from advisor.recommendation.recommendation import RankedPlacement
from advisor.request.asked import Asked
from advisor.units import slurm_memory, slurm_time

# A limit that is picked is this many times the prediction's upper end: it only ever lengthens a partition's default.
_TIME_MARGIN = 1.5
_SAFE_VALUE = re.compile(r"[\w.:,+\-/@=]+")


@dataclass(frozen=True, slots=True)
class Pick:
    """One ``--name=value`` for sbatch, on its command line or in a generated header."""

    name: str
    value: str

    def __post_init__(self) -> None:
        if not _SAFE_VALUE.fullmatch(self.value):
            raise RenderingError(f"'{self.value}' cannot stand in an #SBATCH line as --{self.name}.")

    @property
    def option(self) -> str:
        """It as one argument of sbatch."""
        return f"--{self.name}={self.value}"

    @property
    def directive(self) -> str:
        """The whole line."""
        return f"#SBATCH {self.option}"


def choose_picks(best: RankedPlacement, asked: Asked, *, default_time_s: float | None) -> tuple[Pick, ...]:
    """The recommended placement as far as the user left it open; nothing where the user tied the job to nodes.

    Args:
        best: the recommended placement.
        asked: what the user fixed.
        default_time_s: the limit that the partition gives to a job without one; None where that is its maximum.
    """
    if asked.tied_by is not None:
        return ()
    placement = best.prediction.placement
    picks: list[Pick] = []
    if asked.open_partition:
        picks.append(Pick("partition", placement.partition))
    if asked.open_gpus:
        picks += [Pick("nodes", str(placement.nodes))] if asked.open_nodes and placement.nodes > 1 else []
        kind = f"{placement.gres_type}:" if placement.gres_type else ""
        picks.append(Pick("gres", f"gpu:{kind}{max(1, placement.gpus // placement.nodes)}"))
    if asked.open_memory and best.prediction.host_memory_bytes is not None:
        picks.append(Pick("mem", slurm_memory(placement.memory_bytes)))
    if asked.open_cpus and placement.cpus > 1:
        picks.append(Pick("cpus-per-task", str(placement.cpus)))
    limit = _lengthened_limit(best, default_time_s) if asked.open_time else None
    return (*picks, *([Pick("time", slurm_time(limit))] if limit is not None else []))


def _lengthened_limit(best: RankedPlacement, default_time_s: float | None) -> float | None:
    duration = best.prediction.duration_s
    if duration is None or default_time_s is None or duration.high * _TIME_MARGIN <= default_time_s:
        return None
    longest = best.prediction.placement.max_time_s
    wanted = duration.high * _TIME_MARGIN
    # A limit is written in whole minutes, rounded up: the partition's is rounded down, or it would be exceeded.
    limit = wanted if longest is None or wanted <= longest - 60 else longest // 60 * 60
    return limit if limit > default_time_s else None
