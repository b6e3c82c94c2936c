"""Trace records as lines of JSON and back.

Every line is an object with ``kind``. Header, epochs, projections, stops, workload and footer bear the names of their
dataclasses' fields; samples, of which there are a day's 86,400, are arrays in the order of the fields of ``GpuSample``
and ``HostSample``.
"""

from __future__ import annotations

import json
import math
from dataclasses import astuple, fields, replace
from typing import Any

from advisor.errors import TelemetryError
from advisor.storage.plain_data import from_plain, to_plain
from advisor.storage.plain_text import all_escaped, may_need_escapes
from advisor.telemetry.trace import (
    Epoch,
    GpuSample,
    HostSample,
    JobWorkload,
    Projection,
    Sample,
    Stop,
    TraceFooter,
    TraceHeader,
)

Record = TraceHeader | Sample | Epoch | Projection | Stop | JobWorkload | TraceFooter

_KINDS: dict[str, type] = {
    "header": TraceHeader,
    "epoch": Epoch,
    "projection": Projection,
    "stop": Stop,
    "workload": JobWorkload,
    "footer": TraceFooter,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_WHOLE = frozenset({"memory_used_bytes", "sm_clock_mhz", "throttle_reasons", "memory_bytes"})
# Name and whether it is a count, in the order of the arrays.
_GPU_FIELDS = tuple((item.name, item.name in _WHOLE) for item in fields(GpuSample))
_HOST_FIELDS = tuple((item.name, item.name in _WHOLE) for item in fields(HostSample))
# A card knows its power to some watts: further digits of a day's samples are noise that fills disks. Epochs and the
# footer, which are made from the readings themselves, keep all of theirs.
_POWER_DIGITS, _ENERGY_DIGITS = 1, 2
# Far above any reading: the largest file of a 64-bit system, in bytes or in joules.
_MOST = 2**63
_LONGEST_TEXT = 1000


def line_of(record: Record) -> str:
    """One record as one line, its end included."""
    if isinstance(record, Sample):
        plain: dict[str, Any] = {
            "kind": "sample",
            "time_s": round(record.time_s, 3),
            "gpus": [_shortened(gpu) for gpu in record.gpus],
            "host": astuple(record.host),
        }
    else:
        plain = {"kind": _NAMES[type(record)], **to_plain(record)}
    return json.dumps(plain, separators=(",", ":"), allow_nan=False) + "\n"


def _shortened(gpu: GpuSample) -> tuple[Any, ...]:
    power_w = None if gpu.power_w is None else round(gpu.power_w, _POWER_DIGITS)
    counter_j = None if gpu.energy_counter_j is None else round(gpu.energy_counter_j, _ENERGY_DIGITS)
    return astuple(replace(gpu, power_w=power_w, energy_counter_j=counter_j))


def record_of(line: str | bytes) -> Record:
    """Read one line; texts in it are escaped (``storage/plain_text.py``).

    Raises:
        TelemetryError: it is not a record.
    """
    try:
        text = line.decode("utf-8", errors="replace") if isinstance(line, bytes) else line
        plain = json.loads(text, parse_constant=_refuse_constant)
        if may_need_escapes(text):
            plain = all_escaped(plain)
    except (ValueError, RecursionError) as exc:
        raise TelemetryError("a line is not JSON") from exc
    if not isinstance(plain, dict):
        raise TelemetryError("a line is no object")
    kind = plain.pop("kind", None)
    if kind == "sample":
        return _sample(plain)
    if not isinstance(kind, str) or kind not in _KINDS:
        raise TelemetryError("a line is of no known kind")
    if kind != "header":  # whose numbers are checked against Slurm, and whose command may be long
        _check_values(plain)
    record: Record = from_plain(_KINDS[kind], plain, where=kind)
    return record


def _refuse_constant(name: str) -> None:
    """NaN and Infinity, which Python reads and JSON does not know."""
    raise ValueError(name)


def _check_values(plain: dict[str, Any]) -> None:
    """Refuse what no recorder writes, wherever it stands: NaN, infinity, and what would fill a screen."""
    for value in plain.values():
        if isinstance(value, int | float) and not isinstance(value, bool):
            _number(value, whole=False, optional=False)
        if isinstance(value, str) and len(value) > _LONGEST_TEXT:
            raise TelemetryError("a text is too long")


def gpu_sample_of(values: object) -> GpuSample:
    """Read the array of one GPU's readings.

    Raises:
        TelemetryError: it is not one.
    """
    return GpuSample(**_named(values, _GPU_FIELDS))


def _sample(plain: dict[str, Any]) -> Sample:
    gpus = plain.get("gpus")
    if not isinstance(gpus, list):
        raise TelemetryError("a sample has no GPUs")
    return Sample(
        time_s=_number(plain.get("time_s"), whole=False, optional=False),
        gpus=tuple(gpu_sample_of(gpu) for gpu in gpus),
        host=HostSample(**_named(plain.get("host"), _HOST_FIELDS)),
    )


def _named(values: object, names: tuple[tuple[str, bool], ...]) -> dict[str, Any]:
    if not isinstance(values, list) or len(values) != len(names):
        raise TelemetryError("a sample has another number of readings")
    return {
        name: None if value is None else _number(value, whole=whole, optional=True)
        for (name, whole), value in zip(names, values, strict=True)
    }


def _number(value: object, *, whole: bool, optional: bool) -> Any:
    if value is None and optional:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TelemetryError("a reading is no number")
    if isinstance(value, float) and not math.isfinite(value):
        raise TelemetryError("a reading is not finite")
    if abs(value) > _MOST:  # sums and differences of such numbers would no longer be numbers
        raise TelemetryError("a reading is too large")
    if whole and not isinstance(value, int):
        raise TelemetryError("a count is not whole")
    return value if whole else float(value)
