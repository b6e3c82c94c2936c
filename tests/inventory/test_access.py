"""Who may use a partition, and what binds a job there."""

from __future__ import annotations

from dataclasses import replace

import pytest

from advisor.inventory.access import allowed_accounts, allowed_qos, barred_reason, limits
from advisor.inventory.records import AssociationRecord, ClusterRecords, ConfigRecord, PartitionRecord, QosRecord

OPEN = PartitionRecord(name="p")
SMALL = AssociationRecord(cluster="c", account="small", is_default=True, qos=("normal",), lineage=("small",))
BIGML = AssociationRecord(cluster="c", account="bigml", qos=("normal", "long"), lineage=("bigml",))


@pytest.mark.parametrize(
    ("partition", "expected"),
    [
        (OPEN, None),
        (replace(OPEN, state="DOWN"), "partition is down"),
        (replace(OPEN, state="DRAIN"), "partition is drained"),
        (replace(OPEN, state="INACTIVE"), "partition is inactive"),
        (replace(OPEN, root_only=True), "only root may submit to it"),
        (replace(OPEN, needs_reservation=True), "it takes only jobs of a reservation"),
        (replace(OPEN, allow_groups=("ml", "vision")), "only for group ml or vision"),
        (replace(OPEN, allow_groups=("staff",)), None),
        (replace(OPEN, allow_accounts=("bigml",)), "account small may not use it"),
        (replace(OPEN, deny_accounts=("small",)), "account small may not use it"),
        (replace(OPEN, deny_accounts=("bigml",)), None),
        (replace(OPEN, allow_accounts=("small",), deny_accounts=("small",)), None),
        (replace(OPEN, allow_qos=("long",)), "only for QOS long"),
        (replace(OPEN, deny_qos=("normal",)), "not for QOS normal"),
        (replace(OPEN, hidden=True), None),
    ],
)
def test_each_rule_bars_with_its_reason(partition: PartitionRecord, expected: str | None) -> None:
    """States, root, reservations, groups, accounts and QOS each bar; an allow list of accounts voids the deny list."""
    assert expected == barred_reason(partition, user="bob", groups=("staff",), associations=(SMALL,))


def test_a_partition_is_open_to_who_has_one_account_that_may_use_it() -> None:
    """The user need only name it: the accounts that may are kept for the advice."""
    partition = replace(OPEN, allow_accounts=("bigml",))

    assert barred_reason(partition, user="alice", groups=(), associations=(SMALL, BIGML)) is None
    assert ("bigml",) == allowed_accounts(partition, (SMALL, BIGML))
    assert allowed_accounts(OPEN, (SMALL, BIGML)) is None


def test_an_association_for_another_partition_opens_nothing_here() -> None:
    """An association that is bound to one partition counts there alone."""
    bound = replace(SMALL, partition="elsewhere")

    assert "account small may not use it" == barred_reason(OPEN, user="bob", groups=(), associations=(bound,))


def test_without_accounting_account_rules_do_not_bar() -> None:
    """What cannot be known is left to sbatch."""
    partition = replace(OPEN, allow_accounts=("bigml",))

    assert barred_reason(partition, user="bob", groups=(), associations=None) is None


def test_a_subaccount_is_let_in_with_the_account_above_it() -> None:
    """Newer Slurm lists accounts hierarchically; the lineage says what stands above."""
    child = replace(SMALL, lineage=("bigml", "small"))

    assert ("small",) == allowed_accounts(replace(OPEN, allow_accounts=("bigml",)), (child,))


def test_qos_are_narrowed_to_those_that_the_partition_takes() -> None:
    """None means that any will do, or that the user's are not known."""
    assert ("long",) == allowed_qos(replace(OPEN, allow_qos=("long", "huge")), (BIGML,))
    assert ("long",) == allowed_qos(replace(OPEN, deny_qos=("normal",)), (BIGML,))
    assert allowed_qos(OPEN, (BIGML,)) is None


def _records(enforce: tuple[str, ...]) -> ClusterRecords:
    return ClusterRecords(
        backend="commands",
        config=ConfigRecord(cluster_name="c", enforce=enforce),
        nodes=(),
        partitions=(),
        associations=(replace(SMALL, max_time_s=7200.0, max_gpus_per_job=2),),
        qos=(
            QosRecord(name="normal", max_time_s=3600.0),
            QosRecord(name="part", max_time_s=1800.0, max_gpus_per_job=8),
        ),
    )


@pytest.mark.parametrize(
    ("enforce", "qos", "max_time_s", "expected"),
    [
        (("limits", "qos"), None, 86400.0, (3600.0, 2)),
        (("limits", "qos"), "part", 86400.0, (1800.0, 8)),
        (("limits", "qos"), "part", 600.0, (600.0, 8)),
        ((), "part", 86400.0, (86400.0, None)),
        (("associations",), None, None, (None, None)),
    ],
)
def test_limits_bind_in_slurms_order_and_only_where_enforced(
    enforce: tuple[str, ...], qos: str | None, max_time_s: float | None, expected: tuple[float | None, int | None]
) -> None:
    """The partition's QOS comes before the job's and the association's; the partition's time stands above all."""
    found = limits(replace(OPEN, qos=qos, max_time_s=max_time_s), _records(enforce))

    assert expected == (found.max_time_s, found.max_gpus_per_job)


def test_the_jobs_own_account_and_qos_bring_their_limits() -> None:
    """--account and --qos choose whose limits bind."""
    records = _records(("limits", "qos"))
    other = replace(SMALL, account="big", is_default=False, max_gpus_per_job=16)
    records = replace(records, associations=(*(records.associations or ()), other))

    found = limits(OPEN, records, account="big", qos="part")

    assert (1800.0, 8) == (found.max_time_s, found.max_gpus_per_job)
    assert 16 == limits(OPEN, records, account="big").max_gpus_per_job


@pytest.mark.parametrize(("needed", "expected"), [(True, "Slurm knows no account of bob"), (False, None)])
def test_a_user_without_an_account_is_barred_where_associations_are_enforced(
    needed: bool, expected: str | None
) -> None:
    """Slurmctld would refuse the job; where nothing is enforced it takes it."""
    assert expected == barred_reason(OPEN, user="bob", groups=(), associations=(), account_needed=needed)
