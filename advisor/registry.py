"""Stored models: save, verify, load, promote, roll back.

A model is a folder ``NAME/VERSION`` of ``model.npz`` (arrays, no pickle), ``card.json``, ``card.md`` and
``manifest.json``, which holds the format's version and the SHA-256 of every other file. ``PROMOTED`` beside versions
names the one that predicts and those that did before. Everything is written beside its place, flushed to disk and
renamed, so that a reader sees an old model or a new one, never half of one. The prior ships in ``models/prior``.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from advisor.errors import ModelError
from advisor.storage.whole_file import write_whole

FORMAT = 1
PROMOTED = "PROMOTED"
MANIFEST = "manifest.json"
ARRAYS = "model.npz"
CARD = "card.json"
CARD_TEXT = "card.md"
# Everybody predicts with the site's models.
_PUBLIC_MODE = 0o644
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A model on disk whose files matched their checksums when it was opened."""

    name: str
    version: str
    folder: Path
    created_at: str
    promoted_at: str | None
    trained_on_runs: int

    def arrays(self) -> bytes:
        """The model file's bytes, checked once more."""
        return _verified(self.folder, ARRAYS, _manifest(self.folder))

    def card(self) -> dict[str, Any]:
        """The model card as data."""
        return dict(json.loads(_verified(self.folder, CARD, _manifest(self.folder))))

    def card_text(self) -> str:
        """The model card for a person."""
        return _verified(self.folder, CARD_TEXT, _manifest(self.folder)).decode()


@dataclass(frozen=True, slots=True)
class Registry:
    """A site's models under ``root``; ``shipped`` is the prior's folder, which predicts until one is promoted."""

    root: Path
    shipped: Path
    name: str = "energy"

    def save(
        self, version: str, *, arrays: bytes, card: Mapping[str, Any], card_text: str, trained_on_runs: int,
        now: datetime | None = None,
    ) -> StoredModel:  # fmt: skip
        """Store a model under a new version, not yet promoted.

        Raises:
            ModelError: the version exists, is not a plain name, or the folder cannot be written.
        """
        if not _VERSION.fullmatch(version):
            raise ModelError(f"'{version}' cannot be a model version.", hint="Use letters, digits, dots and dashes.")
        target = self.root / self.name / version
        if target.exists():
            raise ModelError(f"Model version {version} exists already.", hint="Retrain makes a new version each time.")
        write_model(
            target, name=self.name, version=version, arrays=arrays, card=card, card_text=card_text,
            trained_on_runs=trained_on_runs, now=now,
        )  # fmt: skip
        return self.open(version)

    def versions(self) -> list[StoredModel]:
        """Every stored version that can be read, oldest first; damaged ones raise only when they are opened."""
        folder = self.root / self.name
        if not folder.is_dir():
            return []
        found = []
        for path in folder.iterdir():
            if (path / MANIFEST).is_file():
                try:
                    found.append(self._stored(path))
                except ModelError:
                    continue
        return sorted(found, key=lambda stored: (stored.created_at, stored.version))

    def open(self, version: str) -> StoredModel:
        """The stored version, verified.

        Raises:
            ModelError: there is none, or a file was altered.
        """
        folder = self.root / self.name / version
        if not _VERSION.fullmatch(version) or not folder.is_dir():
            raise ModelError(f"There is no model version {version}.", hint="gsadmin models lists what there is.")
        return self._verified(folder)

    def promoted(self) -> StoredModel:
        """The model that predicts: the promoted version, else the prior that ships.

        Raises:
            ModelError: its files are missing or altered.
        """
        history = self._history()
        if history:
            return self.open(history[-1]["version"])
        return self.prior()

    def prior(self) -> StoredModel:
        """The model that ships."""
        return self._verified(self.shipped)

    def promote(self, version: str, now: datetime | None = None) -> StoredModel:
        """Make a stored version the one that predicts; the one before stays and can be returned to."""
        self.open(version)
        history = [*self._history(), {"version": version, "promoted_at": _timestamp(now)}]
        self._write_history(history)
        return self.open(version)

    def roll_back(self) -> StoredModel:
        """Return to the model that predicted before: the version promoted earlier, or the prior.

        Raises:
            ModelError: nothing was ever promoted.
        """
        history = self._history()
        if not history:
            raise ModelError("No model was promoted here, so there is none to roll back.")
        self._write_history(history[:-1])
        return self.promoted()

    def _history(self) -> list[dict[str, str]]:
        path = self.root / self.name / PROMOTED
        if not path.is_file():
            return []
        try:
            history = json.loads(path.read_text(encoding="utf-8"))
            return [{"version": str(item["version"]), "promoted_at": str(item["promoted_at"])} for item in history]
        except (OSError, ValueError, KeyError, TypeError) as problem:
            raise ModelError(f"{path} cannot be read: {problem}.", hint="Promote a version again.") from problem

    def _write_history(self, history: list[dict[str, str]]) -> None:
        path = self.root / self.name / PROMOTED
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(history, indent=1).encode(), mode=_PUBLIC_MODE, durable=True)
        except OSError as problem:
            raise ModelError(
                f"{path} cannot be written: {problem.strerror}.", hint="Run gsadmin as the models' owner."
            ) from problem

    def _stored(self, folder: Path) -> StoredModel:
        manifest = _manifest(folder)
        promoted_at = manifest["created_at"] if folder == self.shipped else None
        for item in self._history() if folder != self.shipped else []:
            if item["version"] == manifest["version"]:
                promoted_at = item["promoted_at"]
        return StoredModel(
            name=manifest["name"],
            version=manifest["version"],
            folder=folder,
            created_at=manifest["created_at"],
            promoted_at=promoted_at,
            trained_on_runs=int(manifest["trained_on_runs"]),
        )

    def _verified(self, folder: Path) -> StoredModel:
        stored = self._stored(folder)
        manifest = _manifest(folder)
        for file in (ARRAYS, CARD, CARD_TEXT):
            _verified(folder, file, manifest)
        return stored


def write_model(
    folder: Path, *, name: str, version: str, arrays: bytes, card: Mapping[str, Any], card_text: str,
    trained_on_runs: int, now: datetime | None = None, replace: bool = False,
) -> None:  # fmt: skip
    """Write a model's folder in one step: under another name first, then renamed.

    Raises:
        ModelError: it cannot be written.
    """
    files = {ARRAYS: arrays, CARD: json.dumps(card, indent=1).encode(), CARD_TEXT: card_text.encode()}
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "created_at": _timestamp(now),
        "trained_on_runs": trained_on_runs,
        "sha256": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
    }
    files[MANIFEST] = json.dumps(manifest, indent=1).encode()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            beside.chmod(0o755)
            for file, content in files.items():
                write_whole(beside / file, content, mode=_PUBLIC_MODE, durable=True)
            if replace and folder.exists():
                shutil.rmtree(folder)
            beside.rename(folder)
        finally:
            if beside.exists():
                shutil.rmtree(beside)
    except OSError as problem:
        raise ModelError(f"The model cannot be stored in {folder.parent}: {problem}.") from problem


def _manifest(folder: Path) -> dict[str, Any]:
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            raise ModelError(
                f"The model in {folder} has format {manifest['format']}, this program reads {FORMAT}.",
                hint="Retrain with this version of gsbatch, or roll back.",
            )
        for key in ("name", "version", "created_at", "trained_on_runs", "sha256"):
            manifest[key]
    except (OSError, ValueError, KeyError, TypeError) as problem:
        raise ModelError(
            f"The model in {folder} cannot be read: {problem!r}.", hint="Install or retrain it."
        ) from problem
    return dict(manifest)


def _verified(folder: Path, file: str, manifest: Mapping[str, Any]) -> bytes:
    try:
        content = (folder / file).read_bytes()
    except OSError as problem:
        raise ModelError(f"The model file {folder / file} is missing.", hint="Install or retrain it.") from problem
    if hashlib.sha256(content).hexdigest() != manifest["sha256"].get(file):
        raise ModelError(
            f"{folder / file} was altered since it was stored: its checksum differs.",
            hint="Roll back with gsadmin models, or retrain.",
        )
    return content


def _timestamp(now: datetime | None) -> str:
    return (now or datetime.now(timezone.utc)).strftime("%Y-%m-%dT%H:%M:%SZ")
