"""Retraining: a candidate from prior data and corpus, held against the promoted model on runs that neither has learned.

Where enough runs ended after the promoted model was made, they are judged in the order of time: the promoted model as
it is, the candidate by fits to what had ended before each part. Else whole groups (networks on a GPU) are withheld from
both: the candidate is fitted without them, and the promoted model's own recipe again to the runs that it had learned,
without them. Only a candidate that is better by a paired test is promoted, and then it is fitted again to everything.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from advisor.prediction import process
from advisor.prediction.model import PredictionModel, load_model, to_bytes
from advisor.prediction.prediction import ModelIdentity
from advisor.registry import Registry, StoredModel
from advisor.training.calibration import calibrated, without_corpus
from advisor.training.card import card_of, card_text
from advisor.training.evaluation import Judged, Scores, judge, pooled
from advisor.training.fit import evenly, fit
from advisor.training.methods import method_files
from advisor.training.prior_data import read_prior
from advisor.training.prior_rows import shipped_prior
from advisor.training.runs import TrainingRun, aggregate
from advisor.training.verdict import FEWEST_PAIRS, verdict

_FOLDS = 5
_SETTINGS_JUDGED = 3000  # a larger corpus is sampled, evenly over its machines, before it is split and learned from
_SETTINGS_THAT_REFIT = 50  # fewer cannot move constants that hundreds of the prior's settings have fitted
_BLOCKS = 4  # of time, in which fresh runs are judged
_RUNS_KEPT = 100_000  # of each kind; the corpus gives the newest first
CORPUS_UNTIL = "corpus_until"
Learn = Callable[[Sequence[TrainingRun]], PredictionModel]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrainReport:
    """What a retraining did. ``error_*`` are mean absolute errors of log epoch energy on the same settings.

    ``judged`` counts those settings, ``fresh_runs`` the runs that ended after the promoted model was made.
    """

    stored: StoredModel | None
    promoted: bool
    reason: str
    corpus_runs: int
    settings: int
    fresh_runs: int
    judged: int
    error_promoted: float | None
    error_candidate: float | None
    scores: Scores


def retrain(
    corpus: Iterable[TrainingRun], registry: Registry, *, prior_data_dir: Path | None = None,
    now: datetime | None = None, promote: bool = True,
) -> RetrainReport:  # fmt: skip
    """Fit a new model to prior data and corpus, store it, and promote it if it predicts unlearned corpus runs better.

    Constants, residuals, host memory and utilisation are fitted again to the prior's rows that ship and the corpus; a
    corpus of few settings cannot move them, and is added to what the prior learned. ``prior_data_dir`` holds the files
    of the public studies, to take in place of the rows that ship.

    Raises:
        ModelError: the promoted model cannot be read, or the new one not stored.
        ConfigurationError: ``prior_data_dir`` holds no prior data.
    """
    prior_runs: Sequence[TrainingRun] = read_prior(prior_data_dir) if prior_data_dir is not None else ()
    promoted = registry.promoted()
    corpus_of = _Corpus(learned_until(promoted))
    mine = _sampled(aggregate(corpus_of.counted(corpus)))
    if not mine:
        return _nothing("the corpus has no run to learn from", corpus_of.runs)
    if prior_data_dir is None and len(mine) >= _SETTINGS_THAT_REFIT:
        prior_runs = shipped_prior()
    version = new_version(registry, now)
    trained_on = sum(run.runs for run in (*prior_runs, *mine))
    identity = ModelIdentity(name=registry.name, version=version, trained_on_runs=trained_on, promoted_at="")
    base = load_model(registry.prior())

    def learn(runs: Sequence[TrainingRun]) -> PredictionModel:
        return _learn(base, prior_runs, runs, identity)

    current = load_model(promoted)
    groups = _judged_by_groups(learn, current, mine, corpus_of.learned)
    found = verdict(*groups, on="settings of networks that were withheld from both")
    blocks = corpus_of.blocks()
    if blocks:
        found = verdict(
            *_judged_by_time(learn, current, corpus_of.learned, blocks),
            on="settings measured after the promoted model was made",
        )
    model = learn(mine)
    scores = pooled(groups[0])
    card = card_of(model, [*aggregate(prior_runs), *mine], {"corpus, groups": scores}, now)
    card[CORPUS_UNTIL] = corpus_of.until
    stored = registry.save(
        version, arrays=to_bytes(model), card=card, card_text=card_text(card), trained_on_runs=identity.trained_on_runs,
        extras=method_files([*prior_runs, *mine]) or registry.prior().extras(), now=now,
    )  # fmt: skip
    if found.is_better and promote:
        stored = registry.promote(version, now)
    return RetrainReport(
        stored=stored, promoted=found.is_better and promote, reason=found.reason, corpus_runs=corpus_of.runs,
        settings=len(mine), fresh_runs=corpus_of.fresh_runs, judged=found.judged, error_promoted=found.error_promoted,
        error_candidate=found.error_candidate, scores=scores,
    )  # fmt: skip


class _Corpus:
    """The corpus's runs, parted by whether the promoted model has learned them.

    Args:
        learned_until: when the last run that the promoted model has learned ended; None where it has learned none.
    """

    def __init__(self, learned_until: float | None) -> None:
        self._learned_until = learned_until
        self.runs = 0
        self.fresh_runs = 0
        self.until: float | None = None
        self.learned: list[TrainingRun] = []
        self._fresh: list[TrainingRun] = []

    def counted(self, corpus: Iterable[TrainingRun]) -> Iterator[TrainingRun]:
        """Each run once, for whoever fits to all of them."""
        for run in corpus:
            self.runs += 1
            if run.ended_at is not None:
                self.until = max(self.until or 0.0, run.ended_at)
            if self._learned_until is not None:
                self._part(run, self._learned_until)
            yield run
        self.learned = _sampled(aggregate(self.learned))

    def _part(self, run: TrainingRun, learned_until: float) -> None:
        is_fresh = run.ended_at is not None and run.ended_at > learned_until
        self.fresh_runs += is_fresh
        kept = self._fresh if is_fresh else self.learned
        if len(kept) < _RUNS_KEPT:
            kept.append(run)

    def blocks(self) -> list[list[TrainingRun]]:
        """The fresh runs in blocks of time, oldest first; none where they are too few to tell two models apart."""
        ordered = sorted(self._fresh, key=lambda run: run.ended_at or 0.0)
        size = -(-len(ordered) // _BLOCKS) or 1
        blocks = [aggregate(ordered[start : start + size]) for start in range(0, len(ordered), size)]
        is_enough = sum(len(block) for block in blocks[1:]) >= FEWEST_PAIRS
        return blocks if is_enough else []


def learned_until(stored: StoredModel) -> float | None:
    """When the last corpus run that a model has learned ended, in seconds since the epoch; None where it has none.

    Models of earlier versions do not say so: what had ended when they were made counts as learned.
    """
    if stored.ships:
        return None
    said = stored.card().get(CORPUS_UNTIL)
    if isinstance(said, int | float):
        return float(said)
    return datetime.strptime(stored.created_at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=timezone.utc).timestamp()


def _sampled(runs: list[TrainingRun]) -> list[TrainingRun]:
    few = len(runs) <= _SETTINGS_JUDGED
    return runs if few else evenly(runs, _SETTINGS_JUDGED, random.Random(0))  # noqa: S311 (a sample, not a secret)


def _judged_by_groups(
    learn: Learn, current: PredictionModel, mine: Sequence[TrainingRun], learned: Sequence[TrainingRun]
) -> tuple[list[dict[str, Judged]], list[dict[str, Judged]]]:
    """What both models say of groups that were withheld from both."""
    bare = without_corpus(current, sites=_sites_of(current))
    new, old = [], []
    for withheld in _folds(mine):
        groups = {_group(run) for run in withheld}
        new.append(judge(learn([run for run in mine if _group(run) not in groups]), withheld))
        known = [run for run in learned if _group(run) not in groups]
        old.append(judge(calibrated(bare, known), withheld))
    return new, old


def _judged_by_time(
    learn: Learn, current: PredictionModel, learned: Sequence[TrainingRun], blocks: Sequence[list[TrainingRun]]
) -> tuple[list[dict[str, Judged]], list[dict[str, Judged]]]:
    """What the promoted model says of later runs, and what the candidate would have said with all before them."""
    new, old = [], []
    for place in range(1, len(blocks)):
        before = [run for block in blocks[:place] for run in block]
        new.append(judge(learn([*learned, *before]), blocks[place]))
        old.append(judge(current, blocks[place]))
    return new, old


def _sites_of(model: PredictionModel) -> set[str]:
    """The partitions of which a model has corpus runs."""
    found: set[str] = set()
    for fitted in (model.time, model.power, model.memory):
        found.update(fitted.rows.site[fitted.rows.study == process.HERE].tolist())
    return found


def _learn(
    base: PredictionModel, prior_runs: Sequence[TrainingRun], mine: Sequence[TrainingRun], identity: ModelIdentity
) -> PredictionModel:
    if prior_runs:
        return fit([*prior_runs, *mine], identity)
    return replace(calibrated(base, mine), identity=identity)


def _nothing(reason: str, corpus_runs: int) -> RetrainReport:
    return RetrainReport(
        stored=None, promoted=False, reason=reason, corpus_runs=corpus_runs, settings=0, fresh_runs=0, judged=0,
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


def new_version(registry: Registry, now: datetime | None) -> str:
    """A version that no stored model has: the time, to the second."""
    stem = (now or datetime.now(timezone.utc)).strftime("%Y%m%d-%H%M%S")
    taken = {stored.version for stored in registry.versions()}
    version, count = stem, 1
    while version in taken:
        count += 1
        version = f"{stem}-{count}"
    return version
