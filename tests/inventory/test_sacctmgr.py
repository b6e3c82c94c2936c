"""sacctmgr's rows become the user's associations and the limits of QOS."""

from __future__ import annotations

import pytest

from advisor.inventory.records import AssociationRecord, QosRecord
from advisor.inventory.sacctmgr import ASSOCIATION_COLUMNS, association_columns, parse_associations, parse_qos
from tests.inventory.recorded import DATA, TEST_CLUSTER

ROWS = """\
mini|bigml||small|long,normal|||gres/gpu=4,node=2|gres/gpu=16
mini|small|rtx|small|normal|normal|1-00:00:00||
"""


@pytest.mark.parametrize("version", TEST_CLUSTER)
def test_recorded_answers_are_read(version: str) -> None:
    """What each Slurm said of two users and of a QOS with limits."""
    alice = parse_associations((DATA / version / "sacctmgr_assoc_alice.txt").read_text(encoding="utf-8"))
    (bob,) = parse_associations((DATA / version / "sacctmgr_assoc_bob.txt").read_text(encoding="utf-8"))

    assert [("bigml", True), ("small", False)] == sorted((a.account, a.is_default) for a in alice)
    assert {("normal", "short")} == {a.qos for a in alice}
    assert ("small", True, 2) == (bob.account, bob.is_default, bob.max_gpus_per_job)
    assert (QosRecord(name="normal"), QosRecord(name="short", max_time_s=600.0, max_gpus_per_job=2)) == parse_qos(
        (DATA / version / "sacctmgr_qos.txt").read_text(encoding="utf-8")
    )


def test_associations_hold_the_default_account_qos_and_limits() -> None:
    """The default account is the one whose name the user's default says; limits are time and GPUs a job."""
    bigml, small = parse_associations(ROWS)

    assert (
        AssociationRecord(
            cluster="mini", account="bigml", qos=("long", "normal"), max_gpus_per_job=4, lineage=("bigml",)
        )
        == bigml
    )
    assert (True, "rtx", "normal", 86400.0) == (
        small.is_default,
        small.partition,
        small.default_qos,
        small.max_time_s,
    )


def test_newer_slurm_tells_the_accounts_above() -> None:
    """As Slurm 24.11 says it; a level that begins with ``0-`` is the user's own."""
    (vision,) = parse_associations("mini|vision||small|normal|||||/bigml/vision/0-bob/\n")

    assert ("bigml", "vision") == vision.lineage


@pytest.mark.parametrize(
    ("version", "asked"), [("22.05.8", False), ("23.02.7", False), ("23.11.0", True), ("26.05.5", True), (None, False)]
)
def test_lineage_is_asked_only_where_slurm_has_it(version: str | None, *, asked: bool) -> None:
    """An unknown column makes an older sacctmgr refuse the whole query."""
    assert asked == (association_columns(version) != ASSOCIATION_COLUMNS)


def test_qos_limits_a_single_job() -> None:
    """MaxWall and the smallest GPU limit, be it a job's, a user's or the group's; without limits there is none."""
    assert (
        QosRecord(name="normal"),
        QosRecord(name="short", max_time_s=600.0, max_gpus_per_job=2),
    ) == parse_qos("normal||||\nshort|00:10:00|cpu=8|gres/gpu=2|gres/gpu=8\n")


def test_a_user_without_associations_has_none() -> None:
    """An empty answer is no association, and lines that are not rows are passed over."""
    assert () == parse_associations("\n") == parse_associations("sacctmgr: note\n")
