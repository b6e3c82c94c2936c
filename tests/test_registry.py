from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path

import pytest

from advisor.errors import ModelError
from advisor.prediction.model import load_model
from advisor.registry import ARRAYS, MANIFEST, PROMOTED, Registry, write_model
from advisor.settings import data_path

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


@pytest.mark.parametrize("content", ["", "{", "[]", '{"format": 1}'])
def test_a_broken_manifest_is_a_clear_error(registry: Registry, content: str) -> None:
    """A manifest cut short is a model that cannot be read."""
    _save(registry, "a")
    (registry.root / registry.name / "a" / MANIFEST).write_text(content)

    with pytest.raises(ModelError, match="cannot be read"):
        registry.open("a")


def test_a_broken_promotion_record_is_a_clear_error(registry: Registry) -> None:
    """What predicts is never guessed."""
    _save(registry, "a")
    registry.promote("a", NOON)
    (registry.root / registry.name / PROMOTED).write_text("a")

    with pytest.raises(ModelError, match="PROMOTED"):
        registry.promoted()


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
