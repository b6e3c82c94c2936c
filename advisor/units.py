"""Conversions between Slurm's texts and SI values, and the way values are shown to people.

Inside the package all values are SI (J, W, s, bytes) and names carry the unit; conversion happens here, once.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from advisor.errors import UsageError

KIB = 1024
MIB = 1024**2
GIB = 1024**3
SECONDS_PER_HOUR = 3600.0
JOULES_PER_KWH = 3.6e6
PATIENCE_EPOCHS = 3

_MEMORY = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<suffix>[KMGTP]?)i?B?", re.IGNORECASE)
_MEMORY_FACTOR = {"K": KIB, "M": MIB, "G": GIB, "T": 1024**4, "P": 1024**5}
_ENERGY = re.compile(r"(?P<number>\d+(?:\.\d+)?)\s*(?P<prefix>[kMG]?)(?P<unit>J|Wh)")
_ENERGY_FACTOR = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_GAIN = re.compile(r"(?P<per_kj>[0-9.]+(?:[eE]-?\d+)?)(?::(?P<metric>[^:\s]{1,64})?(?::(?P<patience>[1-9]\d{0,3}))?)?")
_MINUTES_SECONDS = 2
# Sizes and energies of more digits, and longer times, leave the numbers that are computed with.
_MOST_DIGITS = 18
_MOST_OF_A_CLOCK = 1e9
_HOURS_MINUTES_SECONDS = 3


def memory_bytes_from_slurm(text: str) -> int:
    """Read a memory size as Slurm writes it (``16G``, ``4000M``, ``500`` = MiB) and return bytes.

    Raises:
        UsageError: the text is not a size.
    """
    match = _MEMORY.fullmatch(text.strip())
    if match is None or len(match["number"]) > _MOST_DIGITS:
        raise UsageError(f"'{text}' is not a memory size.", hint="Write it as Slurm does, for example 16G or 4000M.")
    return int(float(match["number"]) * _MEMORY_FACTOR[match["suffix"].upper() or "M"])


def slurm_memory(memory_bytes: int) -> str:
    """Write bytes as a ``--mem`` value, in whole GiB where that is exact and else in MiB, rounded up."""
    if memory_bytes % GIB == 0:
        return f"{memory_bytes // GIB}G"
    return f"{-(-memory_bytes // MIB)}M"


def duration_s_from_slurm(text: str) -> float | None:
    """Read a Slurm time limit (``M``, ``M:S``, ``H:M:S``, ``D-H[:M[:S]]``) and return seconds.

    ``UNLIMITED``, ``INFINITE`` and ``-1`` are None: no limit. ``NONE`` is not a time and is the caller's to handle.

    Raises:
        UsageError: the text is not a time.
    """
    text = text.strip()
    if text.upper() in {"UNLIMITED", "INFINITE", "-1"}:
        return None
    days, dash, clock = text.rpartition("-")
    parts = clock.split(":")
    try:
        numbers = [float(part) for part in parts]
        day_count = int(days) if dash else 0
    except ValueError:
        numbers, day_count = [], 0
    is_sane = all(0 <= number <= _MOST_OF_A_CLOCK for number in (*numbers, day_count))
    if not numbers or len(numbers) > _HOURS_MINUTES_SECONDS or not is_sane:
        raise UsageError(f"'{text}' is not a Slurm time.", hint="Write it as Slurm does, for example 2-00:00:00.")
    if dash:
        numbers += [0.0] * (_HOURS_MINUTES_SECONDS - len(numbers))
    elif len(numbers) == 1:
        numbers = [0.0, numbers[0], 0.0]
    elif len(numbers) == _MINUTES_SECONDS:
        numbers = [0.0, *numbers]
    hours, minutes, seconds = numbers
    return day_count * 86400 + hours * 3600 + minutes * 60 + seconds


def slurm_time(duration_s: float) -> str:
    """Write seconds as a ``--time`` value ``[D-]HH:MM:SS``, rounded up to a minute."""
    minutes = -(-int(duration_s) // 60) if duration_s > 0 else 1
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    return (f"{days}-" if days else "") + f"{hours:02d}:{minutes:02d}:00"


def energy_j_from_text(text: str) -> float:
    """Read an energy a person wrote (``2MJ``, ``500 kJ``, ``1.5kWh``) and return joules.

    Raises:
        UsageError: the text is not an energy.
    """
    match = _ENERGY.fullmatch(text.strip())
    if match is None or len(match["number"]) > _MOST_DIGITS:
        raise UsageError(f"'{text}' is not an energy.", hint="Write for example 2MJ or 0.5kWh.")
    per_unit = SECONDS_PER_HOUR if match["unit"] == "Wh" else 1.0
    return float(match["number"]) * _ENERGY_FACTOR[match["prefix"]] * per_unit


@dataclass(frozen=True, slots=True, kw_only=True)
class GainRule:
    """A training is worth its energy while its last ``patience`` epochs gained ``per_kj`` of ``metric`` for each kJ.

    ``metric`` None: the first of the usual losses that the training reports.
    """

    per_kj: float
    metric: str | None = None
    patience: int = PATIENCE_EPOCHS

    def __str__(self) -> str:
        """The rule as it is read."""
        return f"{self.per_kj:g}:{self.metric or ''}:{self.patience}"


def gain_rule_from_text(text: str) -> GainRule:
    """Read ``GAIN[:METRIC[:EPOCHS]]``, such as ``0.001``, ``0.01:val_accuracy`` or ``0.01:val_accuracy:5``.

    Raises:
        UsageError: it is none.
    """
    match = _GAIN.fullmatch(text.strip())
    try:
        per_kj = float(match["per_kj"]) if match else None
    except ValueError:  # two points
        per_kj = None
    if match is None or per_kj is None or not math.isfinite(per_kj):
        raise UsageError(f"'{text}' is not GAIN[:METRIC[:EPOCHS]].", hint="Write for example 0.001:val_accuracy:3.")
    return GainRule(per_kj=per_kj, metric=match["metric"], patience=int(match["patience"] or PATIENCE_EPOCHS))


def human_energy(energy_j: float) -> str:
    """Show joules to a person: J, kJ, MJ or GJ with three significant digits."""
    return _with_prefix(energy_j, "J")


def human_power(power_w: float) -> str:
    """Show watts to a person."""
    return f"{power_w:.0f} W"


def human_memory(memory_bytes: float) -> str:
    """Show bytes to a person, in GiB or MiB."""
    size, unit = (memory_bytes / GIB, "GiB") if memory_bytes >= GIB else (memory_bytes / MIB, "MiB")
    return f"{size:.0f} {unit}" if size >= 100 else f"{size:.3g} {unit}"  # noqa: PLR2004 (.3g would say 1e+03)


def human_duration(duration_s: float) -> str:
    """Show seconds to a person: ``42 s``, ``3.5 min``, ``2 h 10 min``, ``1 d 4 h``."""
    if duration_s < 90:  # noqa: PLR2004 (below a minute and a half, seconds read best)
        return f"{duration_s:.3g} s"
    if duration_s < SECONDS_PER_HOUR:
        return f"{duration_s / 60:.1f} min"
    hours, minutes = divmod(round(duration_s / 60), 60)
    if hours < 24:  # noqa: PLR2004
        return f"{hours} h {minutes} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h"


def _with_prefix(value: float, unit: str) -> str:
    for factor, prefix in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g} {prefix}{unit}"
    return f"{value:.3g} {unit}"
