"""Answers of ``sacctmgr --noheader --parsable2`` to records. The columns asked for stand beside each."""

from __future__ import annotations

import re

from advisor.errors import UsageError
from advisor.inventory.records import AssociationRecord, QosRecord
from advisor.units import duration_s_from_slurm

ASSOCIATION_COLUMNS = (
    "Cluster", "Account", "Partition", "DefaultAccount", "QOS", "DefaultQOS", "MaxWall", "MaxTRES", "GrpTRES",
)  # fmt: skip
QOS_COLUMNS = ("Name", "MaxWall", "MaxTRES", "MaxTRESPU", "GrpTRES")
_GPUS = re.compile(r"(?:^|,)gres/gpu=(\d+)")


def parse_associations(text: str) -> tuple[AssociationRecord, ...]:
    """Read ``sacctmgr show user NAME withassoc format=`` ASSOCIATION_COLUMNS; other lines are passed over."""
    records = []
    for row in _rows(text, len(ASSOCIATION_COLUMNS)):
        cluster, account, partition, default_account, qos, default_qos, max_wall, *tres = row
        if account:
            records.append(
                AssociationRecord(
                    cluster=cluster,
                    account=account,
                    is_default=account == default_account,
                    partition=partition or None,
                    qos=tuple(word for word in qos.split(",") if word),
                    default_qos=default_qos or None,
                    max_time_s=_time(max_wall),
                    max_gpus_per_job=_gpus(tres),
                    lineage=(account,),
                )
            )
    return tuple(records)


def parse_qos(text: str) -> tuple[QosRecord, ...]:
    """Read ``sacctmgr show qos format=`` QOS_COLUMNS; lines of another shape are passed over."""
    return tuple(
        QosRecord(name=name, max_time_s=_time(max_wall), max_gpus_per_job=_gpus(tres))
        for name, max_wall, *tres in _rows(text, len(QOS_COLUMNS))
    )


def _rows(text: str, columns: int) -> list[list[str]]:
    return [row for line in text.splitlines() if len(row := line.split("|")) == columns]


def _gpus(limits: list[str]) -> int | None:
    """The most GPUs that one job can ever have: limits of a user or a group bind a single job too."""
    counts = [int(match[1]) for limit in limits if (match := _GPUS.search(limit))]
    return min(counts, default=None)


def _time(text: str) -> float | None:
    if not text:
        return None
    try:
        return duration_s_from_slurm(text)
    except UsageError:
        return None
