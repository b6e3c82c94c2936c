"""Models from the corpus: retraining, and calibration of partitions. Both need the extra ``train``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from advisor.corpus import rows, store
from advisor.inventory.site_gpus import catalogue_with
from advisor.settings import Settings
from advisor.workflows.extras import needs_extra
from advisor.workflows.site import site_registry

if TYPE_CHECKING:
    from advisor.training.recalibrate import CalibrationReport
    from advisor.training.retrain import RetrainReport

EXTRA = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class Retraining:
    """What a retraining did; ``left_out`` says of each run that cannot be learned from which it is and why."""

    report: RetrainReport
    left_out: tuple[str, ...]


def retrain_from_corpus(settings: Settings, *, prior_data_dir: Path | None, promote: bool) -> Retraining:
    """Fit a new model to the prior and the corpus, store it, and promote it where it is better.

    Args:
        settings: name the corpus and the models.
        prior_data_dir: measured runs of public studies; None keeps what the prior learned.
        promote: False stores the model only.

    Raises:
        ExtraMissing: a package of the extra is not installed.
        CorpusError: the corpus cannot be read.
        ModelError: the promoted model cannot be read, or the new one not stored.
        ConfigurationError: ``prior_data_dir`` holds no prior data.
    """
    with needs_extra(EXTRA, what="gsadmin retrain"):
        from advisor.training.corpus_runs import training_runs  # noqa: PLC0415 (an extra, and slow to load)
        from advisor.training.retrain import retrain  # noqa: PLC0415 (an extra, and slow to load)
    with store.reading(settings.corpus) as db:
        found = list(rows.runs(db, finished=True, with_predictions=False))
    usable, left_out = training_runs(found, catalogue_with(settings.gpu_catalogue))
    report = retrain(usable, site_registry(settings), prior_data_dir=prior_data_dir, promote=promote)
    return Retraining(report=report, left_out=tuple(left_out))


def calibrate_from_corpus(settings: Settings, *, partition: str | None) -> CalibrationReport:
    """Add the corpus to the promoted model, partition by partition, and promote the result.

    Args:
        settings: name the corpus and the models.
        partition: this one only; None for all.

    Raises:
        ExtraMissing: a package of the extra is not installed.
        CorpusError: the corpus cannot be read.
        ModelError: the promoted model cannot be read, or the new one not stored.
    """
    with needs_extra(EXTRA, what="gsadmin calibrate --apply"):
        from advisor.training.corpus_runs import training_runs  # noqa: PLC0415 (an extra, and slow to load)
        from advisor.training.recalibrate import recalibrate  # noqa: PLC0415 (an extra, and slow to load)
    with store.reading(settings.corpus) as db:
        usable, _left_out = training_runs(
            rows.runs(db, finished=True, with_predictions=False), catalogue_with(settings.gpu_catalogue)
        )
    return recalibrate(usable, site_registry(settings), only_site=partition)
