"""Stored models: save, verify, load, promote, roll back.

A model is a folder ``NAME/VERSION`` of ``model.npz`` (arrays, no pickle), ``card.json``, ``card.md`` and
``manifest.json``, which holds the format's version and the SHA-256 of every other file; the paper's regressors may
stand beside it (``methods.npz``, ``methods.skops``). ``PROMOTED`` beside versions
names the one that predicts and those that did before. Everything is written beside its place, flushed to disk and
renamed, so that a reader sees an old model or a new one, never half of one; one writer at a time holds ``.lock``. The
prior ships in ``models/prior``.

A model decides where jobs go, so a site's models are read only from folders and files that belong to this user, to
root or to the owner of this program, and that nobody else may write to.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from advisor.errors import ModelError, StorageError
from advisor.storage.folder import Folder, opened_folder, trusted_owners
from advisor.units import MIB

FORMAT = 1
PROMOTED = "PROMOTED"
MANIFEST = "manifest.json"
ARRAYS = "model.npz"
CARD = "card.json"
CARD_TEXT = "card.md"
METHODS = "methods.npz"
METHODS_SKOPS = "methods.skops"
_EXTRAS = (METHODS, METHODS_SKOPS)
# The name by which the model that ships is promoted: it stays what ships, also after an update.
PRIOR = "prior"
# Everybody predicts with the site's models.
_PUBLIC_MODE = 0o644
_PUBLIC_FOLDER_MODE = 0o755
_PRIVATE_FOLDER_MODE = 0o700
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LOCK = ".lock"
# Writing a model and its promotion takes less than a second.
_LOCK_S = 10.0
_LOCK_POLL_S = 0.05
# A model of 20,000 settings has 30 MB.
_LIMITS = {
    ARRAYS: 512 * MIB, CARD: 64 * MIB, CARD_TEXT: 64 * MIB, MANIFEST: MIB, PROMOTED: 16 * MIB,
    METHODS: 64 * MIB, METHODS_SKOPS: 64 * MIB,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredModel:
    """A model on disk whose files matched their checksums when it was opened.

    ``ships`` is True for the model that came with the program and is trusted as that is.
    """

    name: str
    version: str
    folder: Path
    created_at: str
    promoted_at: str | None
    trained_on_runs: int
    ships: bool = False

    def arrays(self) -> bytes:
        """The model file's bytes, checked once more."""
        return self._verified(ARRAYS)

    def card(self) -> dict[str, Any]:
        """The model card as data.

        Raises:
            ModelError: it is no JSON object.
        """
        try:
            card = json.loads(self._verified(CARD))
        except (ValueError, RecursionError) as problem:
            raise ModelError(f"The card of the model in {self.folder} cannot be read: {problem}.") from problem
        if not isinstance(card, dict):
            raise ModelError(f"The card of the model in {self.folder} is no JSON object.")
        return card

    def optional_file(self, file: str) -> bytes | None:
        """A file that not every model has, None where this one has none.

        Raises:
            ModelError: it was altered, or is missing though the model was stored with it.
        """
        manifest = _manifest(self.folder, ships=self.ships)
        return _verified(self.folder, file, manifest, ships=self.ships) if file in manifest["sha256"] else None

    def extras(self) -> dict[str, bytes]:
        """All of these files that it has, by name."""
        found = {file: self.optional_file(file) for file in _EXTRAS}
        return {file: content for file, content in found.items() if content is not None}

    def card_text(self) -> str:
        """The model card for a person."""
        return self._verified(CARD_TEXT).decode(errors="replace")

    def _verified(self, file: str) -> bytes:
        return _verified(self.folder, file, _manifest(self.folder, ships=self.ships), ships=self.ships)


@dataclass(frozen=True, slots=True)
class Registry:
    """A site's models under ``root``; ``shipped`` is the prior's folder, which predicts until one is promoted."""

    root: Path
    shipped: Path
    name: str = "energy"

    @property
    def _folder(self) -> Path:
        return self.root / self.name

    def save(
        self, version: str, *, arrays: bytes, card: Mapping[str, Any], card_text: str, trained_on_runs: int,
        extras: Mapping[str, bytes] | None = None, now: datetime | None = None,
    ) -> StoredModel:  # fmt: skip
        """Store a model under a new version, not yet promoted.

        Raises:
            ModelError: the version exists, is not a plain name, or the folder cannot be written.
        """
        if not _VERSION.fullmatch(version) or version == PRIOR:
            raise ModelError(f"'{version}' cannot be a model version.", hint="Use letters, digits, dots and dashes.")
        with self._writing() as folder:
            if version in folder.names():
                raise ModelError(
                    f"Model version {version} exists already.", hint="Retrain makes a new version each time."
                )
            write_model(
                self._folder / version, name=self.name, version=version, arrays=arrays, card=card, card_text=card_text,
                trained_on_runs=trained_on_runs, extras=extras, now=now,
            )  # fmt: skip
        return self.open(version)

    def versions(self) -> list[StoredModel]:
        """Every stored version that can be read, oldest first; damaged ones raise only when they are opened."""
        found = []
        for name in self._names():
            if _VERSION.fullmatch(name):
                with suppress(ModelError):
                    found.append(self._stored(self._folder / name))
        return sorted(found, key=lambda stored: (stored.created_at, stored.version))

    def open(self, version: str) -> StoredModel:
        """The stored version, verified.

        Raises:
            ModelError: there is none, or a file was altered.
        """
        if not _VERSION.fullmatch(version) or version not in self._names():
            raise ModelError(f"There is no model version {version}.", hint="gsadmin models lists what there is.")
        return self._checked(self._folder / version)

    def promoted(self) -> StoredModel:
        """The model that predicts: the promoted version, else the prior that ships.

        Raises:
            ModelError: its files are missing or altered.
        """
        history = self._history()
        return self._named(history[-1]["version"]) if history else self.prior()

    def prior(self) -> StoredModel:
        """The model that ships."""
        return self._checked(self.shipped, ships=True)

    def promote(self, version: str, now: datetime | None = None) -> StoredModel:
        """Make a stored version, or ``prior``, the one that predicts; the one before stays and can be returned to.

        A promotion record that cannot be read is kept as ``PROMOTED.damaged``, and a new one begun.

        Raises:
            ModelError: there is no such version, a file of it was altered, or the folder cannot be written.
        """
        self._named(version)
        with self._writing() as folder:
            try:
                history = self._history()
            except ModelError:
                _rename(folder, PROMOTED, f"{PROMOTED}.damaged")
                history = []
            _write_history(folder, [*history, {"version": version, "promoted_at": _timestamp(now)}])
        return self._named(version)

    def roll_back(self) -> StoredModel:
        """Return to the model that predicted before: the version promoted earlier, or the prior.

        Raises:
            ModelError: nothing was ever promoted, or the folder cannot be written.
        """
        with self._writing() as folder:
            history = self._history()
            if not history:
                raise ModelError("No model was promoted here, so there is none to roll back.")
            _write_history(folder, history[:-1])
        return self.promoted()

    @contextmanager
    def _writing(self) -> Iterator[Folder]:
        """The models' folder, open and locked; what killed writers left there is removed."""
        # Root makes models for all users; without a site's folder they are the user's own.
        mode = _PUBLIC_FOLDER_MODE if os.geteuid() == 0 else _PRIVATE_FOLDER_MODE
        try:
            with opened_folder(self._folder, make=True, mode=mode, owners=trusted_owners()) as folder, _locked(folder):
                for name in folder.names():
                    if name.startswith(_BESIDE):
                        shutil.rmtree(self._folder / name, ignore_errors=True)
                yield folder
        except StorageError as problem:
            raise ModelError(
                f"Models cannot be stored: {problem}", hint=problem.hint or "Run gsadmin as the models' owner."
            ) from problem

    def _names(self) -> list[str]:
        try:
            with opened_folder(self._folder, owners=trusted_owners()) as folder:
                return folder.names()
        except FileNotFoundError:
            return []
        except StorageError as problem:
            raise ModelError(f"The site's models are not used: {problem}", hint=problem.hint) from problem

    def _named(self, version: str) -> StoredModel:
        return self.prior() if version == PRIOR else self.open(version)

    def _history(self) -> list[dict[str, str]]:
        place = self._folder / PROMOTED
        try:
            text = _read(self._folder, PROMOTED)
            history = [] if text is None else json.loads(text)
            return [{"version": str(item["version"]), "promoted_at": str(item["promoted_at"])} for item in history]
        except (ValueError, KeyError, TypeError, RecursionError) as problem:
            raise ModelError(f"{place} cannot be read: {problem}.", hint="Promote a version again.") from problem

    def _promoted_at(self, version: str) -> str | None:
        """When a version was last promoted, None where it never was or the record cannot be read."""
        with suppress(ModelError):
            for item in reversed(self._history()):
                if item["version"] == version:
                    return item["promoted_at"]
        return None

    def _stored(self, folder: Path, *, ships: bool = False) -> StoredModel:
        manifest = _manifest(folder, ships=ships)
        promoted_at = manifest["created_at"] if ships else self._promoted_at(folder.name)
        return StoredModel(
            name=manifest["name"],
            version=manifest["version"],
            folder=folder,
            created_at=manifest["created_at"],
            promoted_at=promoted_at,
            trained_on_runs=manifest["trained_on_runs"],
            ships=ships,
        )

    def _checked(self, folder: Path, *, ships: bool = False) -> StoredModel:
        stored = self._stored(folder, ships=ships)
        manifest = _manifest(folder, ships=ships)
        if not ships and manifest["version"] != folder.name:
            raise ModelError(f"The model in {folder} says that it is version {manifest['version']}.", hint=_RETRAIN)
        for file in (ARRAYS, CARD, CARD_TEXT):
            _verified(folder, file, manifest, ships=ships)
        return stored


_BESIDE = ".writing-"
_RETRAIN = "Roll back with gsadmin models, or retrain."
_KINDS: dict[str, type] = {"name": str, "version": str, "created_at": str, "trained_on_runs": int, "sha256": dict}


def write_model(
    folder: Path, *, name: str, version: str, arrays: bytes, card: Mapping[str, Any], card_text: str,
    trained_on_runs: int, extras: Mapping[str, bytes] | None = None, now: datetime | None = None, replace: bool = False,
) -> None:  # fmt: skip
    """Write a model's folder in one step: under another name first, then renamed.

    Raises:
        ModelError: it cannot be written.
    """
    files = {
        ARRAYS: arrays, CARD: json.dumps(card, indent=1).encode(), CARD_TEXT: card_text.encode(), **(extras or {}),
    }  # fmt: skip
    manifest = {
        "format": FORMAT,
        "name": name,
        "version": version,
        "created_at": _timestamp(now),
        "trained_on_runs": trained_on_runs,
        "sha256": {file: hashlib.sha256(content).hexdigest() for file, content in files.items()},
    }
    files[MANIFEST] = json.dumps(manifest, indent=1).encode()
    beside = folder.with_name(f"{_BESIDE}{folder.name}-{os.urandom(4).hex()}")
    try:
        with opened_folder(beside, make=True, mode=_PUBLIC_FOLDER_MODE) as new:
            for file, content in files.items():
                new.write(file, content, mode=_PUBLIC_MODE, durable=True)
        if replace and folder.exists():
            shutil.rmtree(folder)
        beside.rename(folder)
    except (OSError, StorageError) as problem:
        shutil.rmtree(beside, ignore_errors=True)
        raise ModelError(f"The model cannot be stored in {folder.parent}: {problem}.") from problem


@contextmanager
def _locked(folder: Folder) -> Iterator[None]:
    until = time.monotonic() + _LOCK_S
    with ExitStack() as held:
        while True:
            try:
                held.enter_context(folder.locked(_LOCK))
                break
            except BlockingIOError as exc:
                if time.monotonic() > until:
                    raise ModelError(
                        f"Another gsadmin is changing the models in {folder.path}.", hint="Wait for it and try again."
                    ) from exc
            time.sleep(_LOCK_POLL_S)
        yield


def _write_history(folder: Folder, history: list[dict[str, str]]) -> None:
    folder.write(PROMOTED, json.dumps(history, indent=1).encode(), mode=_PUBLIC_MODE, durable=True)


def _rename(folder: Folder, name: str, to: str) -> None:
    with suppress(FileNotFoundError):
        os.rename(name, to, src_dir_fd=folder.descriptor, dst_dir_fd=folder.descriptor)


def _read(folder: Path, file: str, *, ships: bool = False) -> bytes | None:
    """A file of a model, None where it is not there."""
    try:
        if ships:
            return (folder / file).read_bytes()
        with opened_folder(folder, owners=trusted_owners()) as opened:
            return opened.read(file, limit=_LIMITS[file])
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise ModelError(f"{folder / file} cannot be read: {problem.strerror}.", hint=_RETRAIN) from problem
    except StorageError as problem:
        raise ModelError(f"The site's models are not used: {problem}", hint=problem.hint) from problem


def _manifest(folder: Path, *, ships: bool) -> dict[str, Any]:
    text = _read(folder, MANIFEST, ships=ships)
    if text is None:
        raise ModelError(f"The model in {folder} cannot be read: it has no {MANIFEST}.", hint="Install or retrain it.")
    try:
        manifest = json.loads(text)
        if manifest["format"] != FORMAT:
            raise ModelError(
                f"The model in {folder} has format {manifest['format']}, this program reads {FORMAT}.",
                hint="Retrain with this version of gsbatch, or roll back.",
            )
        wrong = [key for key, kind in _KINDS.items() if not isinstance(manifest[key], kind)]
    except (ValueError, KeyError, TypeError, RecursionError) as problem:
        raise ModelError(
            f"The model in {folder} cannot be read: {problem!r}.", hint="Install or retrain it."
        ) from problem
    if wrong:
        raise ModelError(f"The model in {folder} cannot be read: its {wrong[0]} is of another type.", hint=_RETRAIN)
    return dict(manifest)


def _verified(folder: Path, file: str, manifest: Mapping[str, Any], *, ships: bool) -> bytes:
    content = _read(folder, file, ships=ships)
    if content is None:
        raise ModelError(f"The model file {folder / file} is missing.", hint="Install or retrain it.")
    if hashlib.sha256(content).hexdigest() != manifest["sha256"].get(file):
        raise ModelError(f"{folder / file} was altered since it was stored: its checksum differs.", hint=_RETRAIN)
    return content


def _timestamp(now: datetime | None) -> str:
    return (now or datetime.now(timezone.utc)).strftime("%Y-%m-%dT%H:%M:%SZ")
