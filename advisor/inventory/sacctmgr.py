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
# From this release on Slurm tells, and heeds in AllowAccounts, the accounts above an account.
LINEAGE_COLUMN = "Lineage"
LINEAGE_SINCE = (23, 11)
_GPUS = re.compile(r"(?:^|,)gres/gpu=(\d+)")


def association_columns(slurm_version: str | None) -> tuple[str, ...]:
    """The columns to ask a Slurm of this version for; an older one would refuse the whole query for Lineage."""
    release = re.match(r"(\d+)\.(\d+)", slurm_version or "")
    knows_lineage = release is not None and (int(release[1]), int(release[2])) >= LINEAGE_SINCE
    return (*ASSOCIATION_COLUMNS, LINEAGE_COLUMN) if knows_lineage else ASSOCIATION_COLUMNS


def parse_associations(text: str) -> tuple[AssociationRecord, ...]:
    """Read ``sacctmgr show user NAME withassoc format=`` association_columns(); other lines are passed over."""
    records = []
    columns = len(ASSOCIATION_COLUMNS)
    for row in _rows(text, columns, columns + 1):
        lineage = [name for name in "".join(row[columns:]).split("/") if name and not name.startswith("0-")]
        cluster, account, partition, default_account, qos, default_qos, max_wall, *tres = row[:columns]
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
                    lineage=tuple(lineage) or (account,),
                )
            )
    return tuple(records)


def parse_qos(text: str) -> tuple[QosRecord, ...]:
    """Read ``sacctmgr show qos format=`` QOS_COLUMNS; lines of another shape are passed over."""
    return tuple(
        QosRecord(name=name, max_time_s=_time(max_wall), max_gpus_per_job=_gpus(tres))
        for name, max_wall, *tres in _rows(text, len(QOS_COLUMNS))
    )


def _rows(text: str, *columns: int) -> list[list[str]]:
    return [row for line in text.splitlines() if len(row := line.split("|")) in columns]


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
