"""Who may use a partition and within what limits: Slurm's rules for accounts, groups, QOS, states."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from advisor.inventory.records import AssociationRecord, ClusterRecords, PartitionRecord, QosRecord

ROOT = "root"
_STATE_WORDS = {"DRAIN": "drained"}


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on one job; None is no limit."""

    max_time_s: float | None
    max_gpus_per_job: int | None


def barred_reason(
    partition: PartitionRecord,
    *,
    user: str,
    groups: Collection[str],
    associations: Sequence[AssociationRecord] | None,
    account_needed: bool = False,
) -> str | None:
    """Say why this user cannot submit to a partition, or why the job would never start; None where they may.

    An account rule cannot be judged without the accounting database, and does not bar then: sbatch has the last word.
    ``account_needed`` says that Slurm enforces associations.
    """
    closed = _closed_reason(partition, user)
    if closed is not None:
        return closed
    if partition.allow_groups is not None and user != ROOT and not set(partition.allow_groups) & set(groups):
        return f"only for group {' or '.join(partition.allow_groups)}"
    if account_needed and associations == () and user != ROOT:
        return f"Slurm knows no account of {user}"
    if associations:
        return _account_reason(partition, associations) or _qos_reason(partition, associations)
    return None


def _closed_reason(partition: PartitionRecord, user: str) -> str | None:
    if partition.state != "UP":
        return f"partition is {_STATE_WORDS.get(partition.state, partition.state.lower())}"
    if partition.root_only and user != ROOT:
        return "only root may submit to it"
    return "it takes only jobs of a reservation" if partition.needs_reservation else None


def allowed_accounts(partition: PartitionRecord, associations: Sequence[AssociationRecord]) -> tuple[str, ...] | None:
    """The user's accounts that the partition takes; None where it takes any."""
    bound = any(association.partition is not None for association in associations)
    if partition.allow_accounts is None and not partition.deny_accounts and not bound:
        return None
    return tuple(dict.fromkeys(a.account for a in associations if _account_allowed(partition, a)))


def limits(
    partition: PartitionRecord, records: ClusterRecords, *, account: str | None = None, qos: str | None = None
) -> Limits:
    """The limits that bind the user's job here, by Slurm's order: the partition's QOS, the job's QOS, the association.

    The first of them that sets a limit counts; the partition's own time limit stands above all (slurm.conf's resource
    limits page). They bind only where ``AccountingStorageEnforce`` says so. ``account`` and ``qos`` are those that the
    job names, None for the user's defaults.
    """
    sources: list[QosRecord | AssociationRecord] = []
    by_name = {record.name: record for record in records.qos or ()}
    associations = records.associations or ()
    association = next((a for a in associations if a.account == account), default_association(associations))
    if {"qos", "limits", "safe", "all"} & set(records.config.enforce):
        names = [partition.qos, qos or default_qos(associations)]
        sources += [by_name[name] for name in names if name in by_name]
    if {"limits", "safe", "all"} & set(records.config.enforce) and association is not None:
        sources.append(association)
    times = [source.max_time_s for source in sources if source.max_time_s is not None][:1]
    gpus = [source.max_gpus_per_job for source in sources if source.max_gpus_per_job is not None][:1]
    if partition.max_time_s is not None:
        times.append(partition.max_time_s)
    return Limits(min(times, default=None), min(gpus, default=None))


def default_association(associations: Sequence[AssociationRecord]) -> AssociationRecord | None:
    """The association of the user's default account, which counts where no account is named."""
    return next((association for association in associations if association.is_default), None)


def _account_allowed(partition: PartitionRecord, association: AssociationRecord) -> bool:
    """AllowAccounts and DenyAccounts name an account or, in newer Slurm, one above it; the first voids the other."""
    if association.partition not in {None, partition.name}:
        return False
    names = {association.account, *association.lineage}
    if partition.allow_accounts is not None:
        return bool(names & set(partition.allow_accounts))
    return not names & set(partition.deny_accounts)


def _account_reason(partition: PartitionRecord, associations: Sequence[AssociationRecord]) -> str | None:
    accounts = allowed_accounts(partition, associations)
    if accounts is None or accounts:
        return None
    mine = list(dict.fromkeys(association.account for association in associations))
    return f"account {' or '.join(mine)} may not use it"


def _qos_reason(partition: PartitionRecord, associations: Sequence[AssociationRecord]) -> str | None:
    usable = allowed_qos(partition, associations)
    if usable is None or usable:
        return None
    if partition.allow_qos is not None:
        return f"only for QOS {' or '.join(partition.allow_qos)}"
    return f"not for QOS {' or '.join(partition.deny_qos)}"


def allowed_qos(partition: PartitionRecord, associations: Sequence[AssociationRecord]) -> tuple[str, ...] | None:
    """The user's QOS that the partition takes; None where it takes any, or where the user's are not known."""
    mine = dict.fromkeys(qos for a in associations if _account_allowed(partition, a) for qos in a.qos)
    if not mine or (partition.allow_qos is None and not partition.deny_qos):
        return None
    if partition.allow_qos is not None:
        return tuple(qos for qos in mine if qos in partition.allow_qos)
    return tuple(qos for qos in mine if qos not in partition.deny_qos)


def default_qos(associations: Sequence[AssociationRecord]) -> str | None:
    """The QOS of a job that names none: the default association's default, or the only one it has."""
    association = default_association(associations)
    if association is None:
        return None
    return association.default_qos or (association.qos[0] if len(association.qos) == 1 else None)
