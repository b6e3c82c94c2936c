"""Calibration of a site: the promoted model with the corpus added partition by partition, nothing refitted.

It takes seconds where a retraining takes minutes, and asks for no withheld runs, so that one recorded run on a new
partition already counts: as much as one run should, since the process shrinks it towards what it knew before.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np

from advisor.prediction.model import PredictionModel, load_model, to_bytes
from advisor.prediction.prediction import ModelIdentity
from advisor.prediction.predictor import forecast
from advisor.registry import Registry, StoredModel
from advisor.training.calibration import calibrated, chosen_for_calibration, corpus_runs_in, without_corpus
from advisor.training.card import card_text
from advisor.training.retrain import CORPUS_UNTIL, new_version
from advisor.training.runs import TrainingRun, aggregate


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteShift:
    """By what factor predictions for one partition and GPU moved, in the median over its recorded settings."""

    site: str
    settings: int
    runs: int
    time_factor: float
    power_factor: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationReport:
    """The calibrated model, None where there was nothing to learn from, and what it changed."""

    stored: StoredModel | None
    shifts: tuple[SiteShift, ...]


def recalibrate(
    corpus: Iterable[TrainingRun], registry: Registry, *, only_site: str | None = None, now: datetime | None = None
) -> CalibrationReport:
    """Add the corpus, or one partition's part of it, to the promoted model; store the result and promote it.

    Runs that the promoted model has from the corpus are taken out first, so that no run counts twice.

    Raises:
        ModelError: the promoted model cannot be read, or the new one not stored.
    """
    promoted = registry.promoted()
    before = load_model(promoted)
    mine = [run for run in aggregate(corpus) if only_site is None or run.setting.site.split("/")[0] == only_site]
    mine = chosen_for_calibration(mine)
    if not mine:
        return CalibrationReport(stored=None, shifts=())
    base = without_corpus(before, sites={run.setting.site for run in mine})
    version = new_version(registry, now)
    runs = sum(run.runs for run in mine)
    # What the promoted model had learned of these partitions is replaced, and must not be counted again.
    others = promoted.trained_on_runs - corpus_runs_in(before, sites={run.setting.site for run in mine})
    identity = ModelIdentity(name=registry.name, version=version, trained_on_runs=others + runs, promoted_at="")
    after = replace(calibrated(base, mine), identity=identity)
    shifts = shifts_of(before, after, mine)
    card = {
        **promoted.card(),
        "name": identity.name,
        "version": version,
        "calibrated_from": promoted.version,
        CORPUS_UNTIL: max((run.ended_at for run in mine if run.ended_at is not None), default=None),
        "calibration": {
            shift.site: {"runs": shift.runs, "time_factor": shift.time_factor, "power_factor": shift.power_factor}
            for shift in shifts
        },
    }
    registry.save(
        version, arrays=to_bytes(after), card=card, card_text=card_text(card), trained_on_runs=identity.trained_on_runs,
        extras=promoted.extras(), now=now,
    )  # fmt: skip
    return CalibrationReport(stored=registry.promote(version, now), shifts=shifts)


def shifts_of(before: PredictionModel, after: PredictionModel, runs: Sequence[TrainingRun]) -> tuple[SiteShift, ...]:
    """What each site's predictions for its own recorded settings moved by."""
    settings = [run.setting for run in runs]
    old, new = forecast(before, settings), forecast(after, settings)
    time, power = np.exp(new.log_epoch_s - old.log_epoch_s), new.power_w / old.power_w
    sites = np.array([setting.site for setting in settings])
    counts: Counter[str] = Counter()
    for run in runs:
        counts[run.setting.site] += run.runs
    return tuple(
        SiteShift(
            site=site,
            settings=int((sites == site).sum()),
            runs=counts[site],
            time_factor=float(np.median(time[sites == site])),
            power_factor=float(np.median(power[sites == site])),
        )
        for site in sorted(counts)
    )
