"""Makes what a site needs: the spool folder, the models folder and the corpus."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from advisor import slurm
from advisor.account import user_name
from advisor.corpus import schema, store
from advisor.errors import ConfigurationError, StorageError
from advisor.settings import Settings
from advisor.storage.folder import make_folder, opened_folder, trusted_owners

# As /tmp: job nodes of all users create files, nobody removes another's.
SHARED_SPOOL_MODE = 0o1777
PRIVATE_MODE = 0o700
PUBLIC_MODE = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialisedFolder:
    """A folder of the site: ``mode`` is what it has, ``expected_mode`` what it would be made with."""

    what: str
    path: Path
    is_new: bool
    mode: int
    expected_mode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialisedCorpus:
    """The corpus: ``version`` counts its migrations."""

    path: Path
    is_new: bool
    runs: int
    version: int
    is_private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class InitialisedSite:
    """All that ``initialise`` looked at or made, in the order in which it did.

    ``open_to_squatters`` is a folder in which any user can make the folder that is meant for another.
    """

    folders: tuple[InitialisedFolder, ...]
    corpus: InitialisedCorpus
    open_to_squatters: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFolder:
    """The spool folder of one user; ``failure`` says why there is none."""

    path: Path
    is_new: bool = False
    failure: str | None = None


def initialise(settings: Settings, *, makes_users: bool = False) -> InitialisedSite:
    """Make what is missing; what is there stays as it is, but for an older corpus, which is brought up to date.

    Args:
        settings: where everything lies.
        makes_users: root makes the users' folders too, so that the folder above need not be writable.

    Raises:
        ConfigurationError: a folder cannot be made, or something else lies in its place.
        CorpusError: the corpus cannot be made.
    """
    folders = []
    open_to_squatters = None
    spool_mode = SHARED_SPOOL_MODE if is_shared(settings, "spool_dir") else PRIVATE_MODE
    if spool_mode == SHARED_SPOOL_MODE and is_for_each_user(settings.spool_dir):
        above = settings.spool_dir.parent
        folders.append(_folder(above, PUBLIC_MODE if makes_users else SHARED_SPOOL_MODE, "spool"))
        open_to_squatters = None if makes_users else above
        spool_mode = PRIVATE_MODE
    models_mode = PUBLIC_MODE if is_shared(settings, "models_dir") else PRIVATE_MODE
    folders += [_folder(settings.spool_dir, spool_mode, "spool"), _folder(settings.models_dir, models_mode, "models")]
    return InitialisedSite(folders=tuple(folders), corpus=_corpus(settings.corpus), open_to_squatters=open_to_squatters)


def make_user_folders(settings: Settings, names: Iterable[str]) -> tuple[UserFolder, ...]:
    """Make the spool folder of each of these users, where it is not yet.

    Raises:
        ConfigurationError: the spool is not one folder for each user.
        StorageError: the folder above cannot be used.
    """
    if not is_for_each_user(settings.spool_dir):
        raise ConfigurationError(
            f"spool_dir is {settings.spool_dir} for all users.", hint='Let it end in $USER: spool_dir = "/PATH/$USER"'
        )
    above = settings.spool_dir.parent
    found = []
    with opened_folder(above, owners=trusted_owners(), may_be_shared=True) as spool:
        for name in sorted(set(names)):
            try:
                account = pwd.getpwnam(name)
                is_new = spool.make_for(name, uid=account.pw_uid, gid=account.pw_gid)
                found.append(UserFolder(path=above / name, is_new=is_new))
            except KeyError:
                found.append(UserFolder(path=above / name, failure=f"there is no user {name}"))
            except StorageError as exc:
                found.append(UserFolder(path=above / name, failure=str(exc)))
    return tuple(found)


def accounting_users() -> tuple[str, ...]:
    """All users of Slurm's accounting that this machine knows; the others submit nothing from here.

    Raises:
        SlurmError: accounting cannot be asked.
    """
    text = slurm.run("sacctmgr", "--noheader", "--parsable2", "show", "user", "format=User")
    return tuple(name for name in text.split() if _is_known(name))


def _is_known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def is_for_each_user(folder: Path) -> bool:
    """Whether a folder was set as ``.../$USER``."""
    return folder.name == user_name()


def is_shared(settings: Settings, name: str) -> bool:
    """Whether a folder is for all users: the site file names it, or it is root who makes it for the others."""
    return settings.sources[name].startswith("site file") or os.geteuid() == 0


def _folder(path: Path, mode: int, what: str) -> InitialisedFolder:
    is_new = not path.is_dir()
    if is_new:
        try:
            make_folder(path, mode=mode, mode_above=PRIVATE_MODE if mode == PRIVATE_MODE else PUBLIC_MODE)
        except OSError as exc:
            raise ConfigurationError(
                f"The {what} folder {path} cannot be made: {exc.strerror}.",
                hint=f"Run gsadmin as an admin, or set another with GSBATCH_{what.upper()}_DIR.",
            ) from exc
    found = mode if is_new else stat.S_IMODE(path.stat().st_mode)
    return InitialisedFolder(what=what, path=path, is_new=is_new, mode=found, expected_mode=mode)


def _corpus(path: Path) -> InitialisedCorpus:
    existed = path.exists()
    with store.writing(path) as db:
        runs = db.table("runs").count
    return InitialisedCorpus(
        path=path,
        is_new=not existed,
        runs=runs,
        version=len(schema.names()),
        is_private=not path.stat().st_mode & 0o044,
    )
