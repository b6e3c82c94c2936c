"""Retraining: a candidate from prior data and corpus, held against the promoted model on runs neither may have learned.

The corpus is split by groups (networks on a GPU): the candidate is judged by fits without the withheld groups, the
promoted model on the same runs. Only a candidate that is better is promoted, and then it is fitted again to everything.
The promoted model may have learned some of the withheld runs in an earlier retraining, which favours it: a candidate
that wins nevertheless has earned it.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np

from advisor.prediction.model import PredictionModel, load_model, to_bytes
from advisor.prediction.prediction import ModelIdentity
from advisor.registry import Registry, StoredModel
from advisor.training.calibration import calibrated
from advisor.training.card import card_of, card_text
from advisor.training.evaluation import Judged, Scores, judge, pooled
from advisor.training.fit import evenly, fit
from advisor.training.methods import method_files
from advisor.training.prior_data import read_prior
from advisor.training.runs import TrainingRun, aggregate

_FOLDS = 5
_SETTINGS_JUDGED = 3000  # a larger corpus is sampled, evenly over its machines, before it is split and learned from
_CLEARLY = 0.99  # a candidate must err less than this share of what the promoted model errs


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainReport:
    """What a retraining did. ``error_*`` are mean absolute errors of log epoch energy on the same withheld runs."""

    stored: StoredModel | None
    promoted: bool
    reason: str
    corpus_runs: int
    settings: int
    withheld_runs: int
    error_promoted: float | None
    error_candidate: float | None
    scores: Scores


def retrain(
    corpus: Iterable[TrainingRun], registry: Registry, *, prior_data_dir: Path | None = None,
    now: datetime | None = None, promote: bool = True,
) -> RetrainReport:  # fmt: skip
    """Fit a new model to prior data and corpus, store it, and promote it if it predicts withheld corpus runs better.

    Without the prior's data, what the prior learned stays as it is, and the corpus runs are added to it.

    Raises:
        ModelError: the promoted model cannot be read, or the new one not stored.
        ConfigurationError: ``prior_data_dir`` holds no prior data.
    """
    prior_runs = read_prior(prior_data_dir) if prior_data_dir is not None else []
    corpus_runs = 0

    def counted() -> Iterator[TrainingRun]:
        nonlocal corpus_runs
        for corpus_runs, run in enumerate(corpus, 1):  # noqa: B007 (the count outlives the loop)
            yield run

    mine = aggregate(counted())
    if len(mine) > _SETTINGS_JUDGED:
        mine = evenly(mine, _SETTINGS_JUDGED, random.Random(0))  # noqa: S311 (a sample, not a secret)
    if not mine:
        return _nothing("the corpus has no run to learn from", corpus_runs)
    current = load_model(registry.promoted())
    version = new_version(registry, now)
    identity = ModelIdentity(
        name=registry.name, version=version, trained_on_runs=len(prior_runs) + sum(r.runs for r in mine), promoted_at=""
    )
    base = load_model(registry.prior())
    parts_new, parts_old = [], []
    for withheld in _folds(mine):
        kept = [run for run in mine if id(run) not in {id(w) for w in withheld}]
        parts_new.append(judge(_learn(base, prior_runs, kept, identity), withheld))
        parts_old.append(judge(current, withheld))
    error_new, error_old = _error(parts_new), _error(parts_old)
    scores = pooled(parts_new)
    model = _learn(base, prior_runs, mine, identity)
    card = card_of(model, [*aggregate(prior_runs), *mine], {"corpus, groups": scores}, now)
    stored = registry.save(
        version, arrays=to_bytes(model), card=card, card_text=card_text(card), trained_on_runs=identity.trained_on_runs,
        extras=method_files([*prior_runs, *mine]) or registry.prior().extras(), now=now,
    )  # fmt: skip
    better, reason = _verdict(error_new, error_old)
    if better and promote:
        stored = registry.promote(version, now)
    return RetrainReport(
        stored=stored, promoted=better and promote, reason=reason, corpus_runs=corpus_runs, settings=len(mine),
        withheld_runs=sum(run.runs for run in mine), error_promoted=error_old, error_candidate=error_new, scores=scores,
    )  # fmt: skip


def _learn(
    base: PredictionModel, prior_runs: Sequence[TrainingRun], mine: Sequence[TrainingRun], identity: ModelIdentity
) -> PredictionModel:
    if prior_runs:
        return fit([*prior_runs, *mine], identity)
    return replace(calibrated(base, mine), identity=identity)


def _nothing(reason: str, corpus_runs: int) -> RetrainReport:
    return RetrainReport(
        stored=None, promoted=False, reason=reason, corpus_runs=corpus_runs, settings=0, withheld_runs=0,
        error_promoted=None, error_candidate=None, scores={},
    )  # fmt: skip


def _folds(runs: Sequence[TrainingRun]) -> list[list[TrainingRun]]:
    """Up to five folds of whole groups; the group is a network on a GPU, whose settings must not part."""
    folds: dict[int, list[TrainingRun]] = {}
    groups = sorted({_group(run) for run in runs})
    place = {group: i for i, group in enumerate(sorted(groups, key=lambda g: zlib.crc32(g.encode())))}
    for run in runs:
        folds.setdefault(place[_group(run)] % _FOLDS, []).append(run)
    return list(folds.values())


def _group(run: TrainingRun) -> str:
    return f"{run.setting.network}|{run.setting.gpu.name}"


def _error(parts: list[dict[str, Judged]]) -> float | None:
    errors: list[float] = []
    for part in parts:
        for name in ("energy", "power", "time"):
            judged = part[name]
            there = np.isfinite(judged.measured)
            if there.any():
                errors.extend(np.abs(np.log(judged.predicted[there] / judged.measured[there])))
                break
    return float(np.mean(errors)) if errors else None


def _verdict(new: float | None, old: float | None) -> tuple[bool, str]:
    if new is None or old is None:
        return False, "no withheld run has a measured energy, power or time to compare on"
    if new < _CLEARLY * old:
        return True, f"errs by {new:.1%} where the promoted model errs by {old:.1%} (log scale, withheld corpus runs)"
    return False, f"errs by {new:.1%}, not less than the promoted model's {old:.1%} (log scale, withheld corpus runs)"


def new_version(registry: Registry, now: datetime | None) -> str:
    """A version that no stored model has: the time, to the second."""
    stem = (now or datetime.now(timezone.utc)).strftime("%Y%m%d-%H%M%S")
    taken = {stored.version for stored in registry.versions()}
    version, count = stem, 1
    while version in taken:
        count += 1
        version = f"{stem}-{count}"
    return version
