"""The step's entry: one query of each kind, then a copy with a short life."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path

import pytest

from advisor.errors import SlurmCommandFailed, SlurmNotFound
from advisor.inventory.catalogue import load_catalogue
from advisor.inventory.model import Inventory
from advisor.inventory.read import default_cache_dir, groups_of, read_inventory
from tests.inventory.recorded import RecordedSlurm

ASSOCIATIONS = {"alice": "mini25|bigml||bigml|normal||||\n"}


def _read(
    slurm: RecordedSlurm, cache_dir: Path | None, *, now_s: float = 1000.0, max_age_s: float = 120.0
) -> Inventory:
    return read_inventory(
        described=None,
        backend="commands",
        user="alice",
        catalogue=load_catalogue(),
        cache_dir=cache_dir,
        max_age_s=max_age_s,
        run=slurm,
        clock=lambda: now_s,
    )


@pytest.fixture
def slurm() -> RecordedSlurm:
    """Slurm 25.11 as it was recorded."""
    return RecordedSlurm("25.11.7", ASSOCIATIONS)


def test_slurm_is_asked_once_for_each_kind(slurm: RecordedSlurm) -> None:
    """Nodes, partitions, configuration, associations; QOS only where they are enforced."""
    _read(slurm, None)

    asked = sorted((argv[0], "user" if "user" in argv else argv[-1]) for argv in slurm.asked)
    assert [("sacctmgr", "user"), ("scontrol", "config"), ("scontrol", "node"), ("scontrol", "partition")] == asked


def test_a_fresh_copy_spares_slurm_and_is_the_same(slurm: RecordedSlurm, tmp_path: Path) -> None:
    """Submissions in a row do not query slurmctld again, and see the very same cluster."""
    first = _read(slurm, tmp_path / "cache")
    asked = len(slurm.asked)

    assert first == _read(slurm, tmp_path / "cache", now_s=1100.0)
    assert asked == len(slurm.asked)


@pytest.mark.parametrize(("now_s", "max_age_s"), [(1121.0, 120.0), (1001.0, 0.0), (999.0, 120.0)])
def test_an_old_copy_or_fresh_asks_anew(slurm: RecordedSlurm, tmp_path: Path, now_s: float, max_age_s: float) -> None:
    """A copy that is too old, unwanted, or from the future (a clock was set back) is not used."""
    _read(slurm, tmp_path)
    asked = len(slurm.asked)
    _read(slurm, tmp_path, now_s=now_s, max_age_s=max_age_s)

    assert 2 * asked == len(slurm.asked)


def test_another_cluster_is_another_copy(slurm: RecordedSlurm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SLURM_CONF tells which cluster would answer."""
    _read(slurm, tmp_path)
    asked = len(slurm.asked)
    monkeypatch.setenv("SLURM_CONF", "/elsewhere/slurm.conf")
    _read(slurm, tmp_path)

    assert 2 * asked == len(slurm.asked)


def test_the_copy_is_the_users_alone(slurm: RecordedSlurm, tmp_path: Path) -> None:
    """Accounts are nobody else's business, and nobody else may write what we believe."""
    _read(slurm, tmp_path / "cache")
    (copy,) = (tmp_path / "cache").iterdir()

    assert (0o700, 0o600) == (stat.S_IMODE(copy.parent.stat().st_mode), stat.S_IMODE(copy.stat().st_mode))


@pytest.mark.parametrize("damage", ["cut", "version", "shape", "writable"])
def test_a_copy_that_cannot_be_trusted_is_as_good_as_none(slurm: RecordedSlurm, tmp_path: Path, damage: str) -> None:
    """Broken, of another version, of another shape, or writable by others: Slurm is asked and a new one written."""
    first = _read(slurm, tmp_path)
    (copy,) = tmp_path.iterdir()
    content = json.loads(copy.read_text(encoding="utf-8"))
    if damage == "cut":
        copy.write_text(copy.read_text(encoding="utf-8")[:100], encoding="utf-8")
    elif damage == "version":
        copy.write_text(json.dumps({**content, "version": 0}), encoding="utf-8")
    elif damage == "shape":
        copy.write_text(json.dumps({**content, "answer": {**content["answer"], "nodes": [{"nam": 1}]}}), "utf-8")
    else:
        copy.chmod(0o666)
    asked = len(slurm.asked)

    assert first == _read(slurm, tmp_path)
    assert 2 * asked == len(slurm.asked)
    assert first == _read(slurm, tmp_path)
    assert 2 * asked == len(slurm.asked)


def test_a_cache_folder_that_cannot_be_made_costs_nothing(slurm: RecordedSlurm, tmp_path: Path) -> None:
    """No home, a full or read-only disk: the inventory is read all the same."""
    (tmp_path / "file").write_text("", encoding="utf-8")

    assert 7 == len(_read(slurm, tmp_path / "file" / "cache").partitions)


def test_a_dead_controller_is_an_error_with_a_next_step() -> None:
    """Nothing is made up when Slurm does not answer."""

    def dead(*argv: str, timeout_s: float = 15.0) -> str:
        raise SlurmCommandFailed(" ".join(argv), 1, "slurm_load_node error: Unable to contact slurm controller")

    with pytest.raises(SlurmCommandFailed, match="Unable to contact slurm controller"):
        read_inventory(
            described=None, backend="commands", user="alice", catalogue=load_catalogue(), cache_dir=None, run=dead
        )


def test_no_slurm_at_all_is_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The real runner with a PATH that holds no scontrol."""
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(SlurmNotFound, match="scontrol"):
        read_inventory(described=None, user="alice", catalogue=load_catalogue(), cache_dir=None)


def test_the_cache_lies_where_the_xdg_specification_says() -> None:
    """XDG_CACHE_HOME where it is absolute, else ~/.cache; nowhere without a home."""
    assert Path("/c/gsbatch") == default_cache_dir({"XDG_CACHE_HOME": "/c", "HOME": "/h"})
    assert Path("/h/.cache/gsbatch") == default_cache_dir({"XDG_CACHE_HOME": "relative", "HOME": "/h"})
    assert default_cache_dir({}) is None


def test_groups_are_those_of_the_user() -> None:
    """Root's own group is root; a user that nobody knows has none."""
    assert "root" in groups_of("root") or os.getuid() != 0
    assert () == groups_of("no-such-user-here")
