"""A fitted model: physical constants, residual processes, and how wide its intervals must be; to and from bytes."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from advisor.errors import ModelError
from advisor.prediction import physics, process
from advisor.prediction.features import FEATURES_VERSION, Array
from advisor.prediction.memory import MEMORY_NAMES
from advisor.prediction.prediction import ModelIdentity
from advisor.registry import StoredModel

# How far a row is from what was measured, nearest first; each has its own width of interval.
SEEN, NEW_BATCH, NEW_HERE, NEW_NETWORK, FEW_RUNS, NEW_MACHINE, NEW_GPU = range(7)
NOVELTIES = (
    "seen setting",
    "seen network on this machine",
    "network of other machines",
    "new network",
    "few runs on this machine",
    "new machine",
    "new GPU",
)
FEW = 3  # settings; a machine with no more of them is hardly known
MEASURES = ("time", "power", "energy", "memory", "utilisation")
# How well the machines of two placements are known that are compared, best first, and what of them is.
PAIR_KINDS = ("known machines", "few runs on one", "one new machine", "two new machines")
PAIR_MEASURES = ("time", "energy")


@dataclass(frozen=True, slots=True)
class PredictionModel:
    """Everything that predicts.

    ``widths`` is (measures x novelties): by how many standard deviations of the process a 90% interval reaches to each
    side, from withheld groups; ``site_widths`` (sites x measures x novelties) says it for the machines in ``sites``,
    whose own withheld runs could be asked. ``pair_widths`` (pair measures x pair kinds) says it for the ratio of two
    placements of one workload, in standard deviations of the ratio's logarithm. ``host_memory`` scales the host memory
    rule to what was measured (log mean, log standard deviation). ``utilisation`` holds intercept, slope and standard
    deviation of the utilisation's logit.
    """

    identity: ModelIdentity
    parameters: Array
    memory_parameters: Array
    utilisation: Array
    host_memory: Array
    time: process.Fitted
    power: process.Fitted
    memory: process.Fitted
    widths: Array
    sites: process.Labels
    site_widths: Array
    pair_widths: Array

    def measured_gpus(self) -> dict[str, set[str]]:
        """The GPUs, by the names that they have themselves, that the site's own runs measured in each partition."""
        found: dict[str, set[str]] = {}
        for fitted in (self.time, self.power):
            here = fitted.rows.study == process.HERE
            for site in np.unique(fitted.rows.site[here]).tolist():
                partition, _, gpu = site.partition("/")
                found.setdefault(partition, set()).add(gpu)
        return found

    def width(self, rows: process.Rows, novelty: NDArray[np.int64]) -> Array:
        """The half-widths of each row's intervals in standard deviations, (measures x rows)."""
        places = {name: place for place, name in enumerate(self.sites.tolist())}
        place = np.array([places.get(name, -1) for name in rows.site.tolist()], dtype=np.int64)
        found = np.array(self.widths[:, novelty])
        known = np.flatnonzero(place >= 0)
        found[:, known] = self.site_widths[place[known], :, novelty[known]].T
        return found


# Features, physical constants, kernel components and kinds of novelty: a model of other ones would be read wrongly.
_SHAPE = [FEATURES_VERSION, len(physics.NAMES), len(process.COMPONENTS), len(NOVELTIES), len(PAIR_KINDS)]
_PROCESSES = ("time", "power", "memory")
_PLAIN = (
    "parameters",
    "memory_parameters",
    "utilisation",
    "host_memory",
    "widths",
    "sites",
    "site_widths",
    "pair_widths",
)


def to_bytes(model: PredictionModel) -> bytes:
    """Write a model as numpy's own archive of arrays: no objects, no pickle."""
    arrays: dict[str, NDArray[Any]] = {"features_version": np.array(_SHAPE)}
    for name in _PLAIN:
        arrays[name] = getattr(model, name)
    for name in _PROCESSES:
        fitted: process.Fitted = getattr(model, name)
        for field in fields(process.Rows):
            arrays[f"{name}.{field.name}"] = getattr(fitted.rows, field.name)
        for key in ("hyper", "residuals", "runs", "pull"):
            arrays[f"{name}.{key}"] = getattr(fitted, key)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]
    return buffer.getvalue()


# What numpy and zipfile raise for bytes that are no archive of arrays, or one that was damaged.
_UNREADABLE = (
    OSError, EOFError, ValueError, KeyError, NotImplementedError, zipfile.BadZipFile, zlib.error, np.linalg.LinAlgError,
)  # fmt: skip


def _check(arrays: dict[str, NDArray[Any]]) -> None:
    """Refuse arrays that do not fit together, which numpy would stretch, and numbers that are none."""
    lengths = {
        "parameters": (len(physics.NAMES),),
        "memory_parameters": (len(MEMORY_NAMES),),
        "utilisation": (3,),
        "host_memory": (2,),
        "widths": (len(MEASURES), len(NOVELTIES)),
        "site_widths": (len(arrays["sites"]), len(MEASURES), len(NOVELTIES)),
        "pair_widths": (len(PAIR_MEASURES), len(PAIR_KINDS)),
    }
    for name in _PROCESSES:
        rows = len(arrays[f"{name}.residuals"])
        lengths |= {f"{name}.{field.name}": (rows,) for field in fields(process.Rows)}
        constants = len(MEMORY_NAMES if name == "memory" else physics.NAMES)
        lengths |= {
            f"{name}.runs": (rows,), f"{name}.hyper": (len(process.INITIAL),), f"{name}.pull": (constants,),
            f"{name}.constants": (rows, constants),
        }  # fmt: skip
    for name, shape in lengths.items():
        if arrays[name].shape[: len(shape)] != shape:
            raise ValueError(f"{name} is of shape {arrays[name].shape}, not {shape}")
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"{name} holds values that are no numbers")


def from_bytes(content: bytes, identity: ModelIdentity) -> PredictionModel:
    """Read what ``to_bytes`` wrote.

    Raises:
        ModelError: it is not a model, or one of another version.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        if arrays["features_version"].tolist() != _SHAPE:
            raise ModelError(
                f"Model {identity.version} was written by another version of gsbatch: what it is made of is counted"
                f" {arrays['features_version'].tolist()}, here {_SHAPE}.",
                hint="Retrain with this version of gsbatch.",
            )
        _check(arrays)
        fitted = {}
        for name in _PROCESSES:
            rows = process.Rows(*(arrays[f"{name}.{field.name}"] for field in fields(process.Rows)))
            fitted[name] = process.condition(
                arrays[f"{name}.hyper"], rows, arrays[f"{name}.residuals"], arrays[f"{name}.runs"],
                arrays[f"{name}.pull"],
            )  # fmt: skip
        plain = {name: arrays[name] for name in _PLAIN}
        return PredictionModel(
            identity=identity, time=fitted["time"], power=fitted["power"], memory=fitted["memory"], **plain
        )
    except _UNREADABLE as problem:
        raise ModelError(
            f"Model {identity.version} cannot be read: {problem}.", hint="Roll back or retrain."
        ) from problem


def load_model(stored: StoredModel) -> PredictionModel:
    """Load a stored model for prediction.

    Raises:
        ModelError: it was altered or is of another version.
    """
    identity = ModelIdentity(
        name=stored.name,
        version=stored.version,
        trained_on_runs=stored.trained_on_runs,
        promoted_at=stored.promoted_at or "",
    )
    return from_bytes(stored.arrays(), identity)
