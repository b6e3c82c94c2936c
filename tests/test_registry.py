from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import pytest

from advisor.errors import ModelError
from advisor.prediction.model import load_model
from advisor.registry import ARRAYS, CARD, MANIFEST, PRIOR, PROMOTED, Registry, write_model
from advisor.settings import data_path
from tests.capabilities import REPOSITORY
from tests.two_users import ATTACKER, VICTIM, as_user, commons, needs_root

__all__ = ["commons"]

NOON = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """An empty registry with a small prior."""
    prior = tmp_path / "shipped" / "prior"
    write_model(prior, name="prior", version="1", arrays=b"p", card={}, card_text="", trained_on_runs=5, now=NOON)
    return Registry(tmp_path / "models", prior)


def _save(registry: Registry, version: str) -> None:
    registry.save(version, arrays=version.encode(), card={"v": version}, card_text="#", trained_on_runs=1, now=NOON)


def test_the_prior_predicts_until_a_model_is_promoted(registry: Registry) -> None:
    """A saved model changes nothing by itself; promotion does, and roll back returns."""
    _save(registry, "a")
    _save(registry, "b")
    names = [registry.promoted().version]
    registry.promote("a", NOON)
    names.append(registry.promoted().version)
    registry.promote("b", NOON)
    names += [registry.promoted().version, registry.roll_back().version, registry.roll_back().version]

    assert ["1", "a", "b", "a", "1"] == names


def test_rolling_back_with_nothing_promoted_is_an_error(registry: Registry) -> None:
    """There is no model before the prior."""
    with pytest.raises(ModelError, match="none to roll back"):
        registry.roll_back()


def test_an_altered_model_is_never_loaded(registry: Registry) -> None:
    """One changed byte is found by its checksum, and the message says what to do."""
    _save(registry, "a")
    registry.promote("a", NOON)
    (registry.root / registry.name / "a" / ARRAYS).write_bytes(b"b")

    with pytest.raises(ModelError, match="altered") as caught:
        registry.promoted()
    assert caught.value.hint


def test_a_model_of_another_format_is_refused(registry: Registry) -> None:
    """A newer program's model is named as such, not half-read."""
    _save(registry, "a")
    manifest = registry.root / registry.name / "a" / MANIFEST
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "format": 99}))

    with pytest.raises(ModelError, match="format 99"):
        registry.open("a")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        '{"format": 1}',
        "[" * 100_000,
        '{"format": 1, "name": 7, "version": "a", "created_at": "x", "trained_on_runs": 1, "sha256": {}}',
        '{"format": 1, "name": "x", "version": "a", "created_at": "x", "trained_on_runs": "many", "sha256": {}}',
        '{"format": 1, "name": "x", "version": "a", "created_at": "x", "trained_on_runs": 1, "sha256": []}',
    ],
)
def test_a_broken_manifest_is_a_clear_error(registry: Registry, content: str) -> None:
    """A manifest cut short is a model that cannot be read."""
    _save(registry, "a")
    (registry.root / registry.name / "a" / MANIFEST).write_text(content)

    with pytest.raises(ModelError, match="cannot be read"):
        registry.open("a")


@pytest.mark.parametrize("content", ["a", "{}x", "[1]", '["a"]', "[" * 100_000, "{}"])
def test_a_broken_promotion_record_is_a_clear_error(registry: Registry, content: str) -> None:
    """What predicts is never guessed; the hint, to promote again, works and keeps the damaged record."""
    _save(registry, "a")
    registry.promote("a", NOON)
    record = registry.root / registry.name / PROMOTED
    record.write_text(content)
    if content != "{}":  # an empty record promotes nothing
        with pytest.raises(ModelError, match="PROMOTED"):
            registry.promoted()

    assert "a" == registry.promote("a", NOON).version
    assert (content != "{}") == record.with_name(f"{PROMOTED}.damaged").exists()


@pytest.mark.parametrize("card", [b"[]", b"{", b"[" * 100_000])
def test_a_card_that_is_none_is_a_clear_error(registry: Registry, card: bytes) -> None:
    """Its checksum may be altered with it."""
    _save(registry, "a")
    folder = registry.root / registry.name / "a"
    (folder / CARD).write_bytes(card)
    manifest = json.loads((folder / MANIFEST).read_text())
    manifest["sha256"][CARD] = hashlib.sha256(card).hexdigest()
    (folder / MANIFEST).write_text(json.dumps(manifest))

    with pytest.raises(ModelError, match="card"):
        registry.open("a").card()


def test_a_version_that_says_it_is_another_is_refused(registry: Registry) -> None:
    """A copied folder does not take another's history."""
    _save(registry, "a")
    shutil.copytree(registry.root / registry.name / "a", registry.root / registry.name / "b")

    with pytest.raises(ModelError, match="version a"):
        registry.open("b")


def test_the_prior_can_be_promoted_by_the_name_that_the_list_shows(registry: Registry) -> None:
    """A site returns to what ships, and what ships after an update; rolling back returns from there too."""
    _save(registry, "a")
    registry.promote("a", NOON)
    found = [registry.promote(PRIOR, NOON).version, registry.promoted().version, registry.roll_back().version]

    assert ["1", "1", "a"] == found
    with pytest.raises(ModelError, match="cannot be"):
        _save(registry, PRIOR)


PROMOTE = """
import sys
from pathlib import Path
from advisor.registry import Registry
registry = Registry(Path(sys.argv[1]), Path(sys.argv[2]))
for _ in range(20):
    registry.promote("a")
"""


def test_writers_at_once_lose_no_promotion(registry: Registry) -> None:
    """Each adds to the history that the other left."""
    _save(registry, "a")
    writers = [
        subprocess.Popen([sys.executable, "-c", PROMOTE, registry.root, registry.shipped], cwd=REPOSITORY)
        for _ in range(2)
    ]
    assert [0, 0] == [writer.wait(60) for writer in writers]

    assert 40 == len(json.loads((registry.root / registry.name / PROMOTED).read_text()))


def test_what_a_killed_save_left_is_removed_by_the_next(registry: Registry) -> None:
    """Kill -9 between writing and renaming leaves a folder that no version is."""
    _save(registry, "a")
    folder = registry.root / registry.name
    (folder / "a").rename(folder / ".writing-b-0123")
    _save(registry, "c")

    assert [".lock", "c"] == sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("umask", [0o000, 0o002, 0o077])
def test_the_modes_of_models_do_not_depend_on_the_umask(registry: Registry, umask: int) -> None:
    """All users read a site's models, nobody else writes them; without a site's folder they are the user's own."""
    before = os.umask(umask)
    try:
        _save(registry, "a")
        registry.promote("a", NOON)
    finally:
        os.umask(before)
    folder = registry.root / registry.name
    paths = [registry.root, folder, folder / "a", folder / "a" / ARRAYS, folder / PROMOTED]
    above = 0o755 if os.geteuid() == 0 else 0o700

    assert [above, above, 0o755, 0o644, 0o644] == [path.stat().st_mode & 0o777 for path in paths]


LOAD = """
import sys
from pathlib import Path
from advisor.errors import ModelError
from advisor.registry import Registry
try:
    print(Registry(Path(sys.argv[1]), Path(sys.argv[2])).promoted().version)
except ModelError as exc:
    sys.exit(str(exc))
"""
PLANT = """
import os, sys
from pathlib import Path
from advisor.registry import Registry
registry = Registry(Path(sys.argv[1]), Path(sys.argv[2]))
registry.save("planted", arrays=b"p", card={}, card_text="", trained_on_runs=1)
registry.promote("planted")
for folder, _, files in os.walk(sys.argv[1]):
    os.chmod(folder, 0o777)
    for file in files:
        os.chmod(os.path.join(folder, file), 0o666)
"""


@needs_root
def test_a_model_that_another_user_planted_never_predicts(commons: Path, registry: Registry) -> None:
    """Whoever can make the folder before its owner does, or write into it, gets no job moved."""
    shipped = commons / "prior"
    shutil.copytree(registry.shipped, shipped)
    assert 0 == as_user(ATTACKER, PLANT, commons / "models", shipped).returncode

    done = as_user(VICTIM, LOAD, commons / "models", shipped)
    assert (1, "") == (done.returncode, done.stdout)
    assert f"belongs to uid {ATTACKER}" in done.stderr


@needs_root
@pytest.mark.parametrize("open_part", ["energy", "energy/a", "energy/PROMOTED", "energy/a/model.npz"])
def test_models_that_others_may_write_to_are_refused(commons: Path, registry: Registry, open_part: str) -> None:
    """Even where nobody has yet: the message says which, and how to close it."""
    shipped, models = commons / "prior", commons / "models"
    shutil.copytree(registry.shipped, shipped)
    site = Registry(models, shipped)
    _save(site, "a")
    site.promote("a", NOON)
    assert "a\n" == as_user(VICTIM, LOAD, models, shipped).stdout
    (models / open_part).chmod(0o777)

    assert "other users may write" in as_user(VICTIM, LOAD, models, shipped).stderr


@pytest.mark.parametrize("version", ["", "../x", "a/b", ".hidden"])
def test_a_version_is_a_plain_name(registry: Registry, version: str) -> None:
    """No version leads out of the registry."""
    with pytest.raises(ModelError):
        _save(registry, version)
    with pytest.raises(ModelError):
        registry.open(version)


def test_a_version_is_written_once(registry: Registry) -> None:
    """What was stored stays as it was."""
    _save(registry, "a")

    with pytest.raises(ModelError, match="exists"):
        _save(registry, "a")


def test_nothing_half_written_is_listed(registry: Registry) -> None:
    """A folder that a crash left beside its place is no version."""
    _save(registry, "a")
    (registry.root / registry.name / ".b.tmp").mkdir()

    assert ["a"] == [stored.version for stored in registry.versions()]


def test_the_shipped_prior_is_whole(tmp_path: Path) -> None:
    """The prior in models/ loads, matches its checksums, and its card names the GPUs it saw."""
    stored = Registry(tmp_path, data_path("models") / "prior").promoted()

    assert load_model(stored).identity.name == "prior"
    assert "NVIDIA GeForce RTX 3090" in stored.card()["data"]["gpus"]
    assert stored.card_text().startswith("# Model prior")


def test_a_model_file_that_is_no_archive_is_a_clear_error(registry: Registry) -> None:
    """Bytes that match their checksum but are no model are refused too."""
    with pytest.raises(ModelError, match="cannot be read"):
        load_model(registry.prior())
