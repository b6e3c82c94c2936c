"""``gsadmin init``: the folders and the corpus."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import click

from advisor import slurm
from advisor.account import user_name
from advisor.corpus import schema, store
from advisor.errors import ConfigurationError, StorageError
from advisor.settings import Settings, load_settings
from advisor.storage.folder import make_folder, opened_folder, trusted_owners

# As /tmp: job nodes of all users create files, nobody removes another's.
SHARED_SPOOL_MODE = 0o1777
PRIVATE_MODE = 0o700
PUBLIC_MODE = 0o755
# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin init
    gsadmin init --all-users                      from cron too: makes the folders of users that are new
    gsadmin init --user alice --user bob
    GSBATCH_SITE_CONFIG=/etc/gsbatch/config.toml gsadmin init
"""


@click.command("init", epilog=EXAMPLES)
@click.option("--user", "users", metavar="NAME", multiple=True, help="Make this user's spool folder too.")
@click.option("--all-users", is_flag=True, help="Make those of all users that Slurm's accounting knows.")
def command(users: tuple[str, ...], *, all_users: bool) -> None:
    """Make the spool folder, the corpus and the models folder, where they are not yet.

    Paths come from the settings (gsadmin doctor shows them). Folders that a site file names, or that root
    makes, are for all users: the spool is world-writable and sticky like /tmp, the models are readable by all. Others
    are yours alone.

    With --user or --all-users, and a spool_dir that ends in $USER, root makes the users' folders itself. Then the
    folder above need not be writable, and no user can take another's name.
    Running it again changes nothing but brings an older corpus up to date.
    """
    settings = load_settings()
    names = [*users, *(_accounting_users() if all_users else ())]
    for line in initialise(settings, makes_users=bool(names) or all_users):
        click.echo(line)
    if names:
        _make_users(settings, sorted(set(names)))


def initialise(settings: Settings, *, makes_users: bool = False) -> list[str]:
    """Make what is missing and say what was done, one line each.

    Args:
        settings: where everything lies.
        makes_users: the users' folders are made by root, so that the folder above need not be writable.

    Raises:
        ConfigurationError: a folder cannot be made, or something else lies in its place.
        CorpusError: the corpus cannot be made.
    """
    lines = []
    spool_mode = SHARED_SPOOL_MODE if is_shared(settings, "spool_dir") else PRIVATE_MODE
    if spool_mode == SHARED_SPOOL_MODE and is_for_each_user(settings.spool_dir):
        above = settings.spool_dir.parent
        lines.append(_folder(above, PUBLIC_MODE if makes_users else SHARED_SPOOL_MODE, "spool"))
        if not makes_users:
            lines.append(f"spool: any user can take another's name in {above}; gsadmin init --all-users prevents that")
        spool_mode = PRIVATE_MODE
    models_mode = PUBLIC_MODE if is_shared(settings, "models_dir") else PRIVATE_MODE
    return [
        *lines,
        _folder(settings.spool_dir, spool_mode, "spool"),
        _folder(settings.models_dir, models_mode, "models"),
        _corpus(settings.corpus),
    ]


def _accounting_users() -> list[str]:
    """All users of Slurm's accounting that this machine knows; the others submit nothing from here."""
    text = slurm.run("sacctmgr", "--noheader", "--parsable2", "show", "user", "format=User")
    known = {account.pw_name for account in pwd.getpwall()}
    return [name for name in text.split() if name in known or _is_known(name)]


def _is_known(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _make_users(settings: Settings, names: list[str]) -> None:
    """Make each user's folder and print a line for it.

    Raises:
        ConfigurationError: the spool is not one folder for each user, or a user's folder could not be made.
    """
    if not is_for_each_user(settings.spool_dir):
        raise ConfigurationError(
            f"spool_dir is {settings.spool_dir} for all users.", hint='Let it end in $USER: spool_dir = "/PATH/$USER"'
        )
    failed = []
    with opened_folder(settings.spool_dir.parent, owners=trusted_owners(), may_be_shared=True) as spool:
        for name in names:
            try:
                account = pwd.getpwnam(name)
                is_new = spool.make_for(name, uid=account.pw_uid, gid=account.pw_gid)
                click.echo(f"spool: {'made ' if is_new else ''}{spool.path}/{name}{'' if is_new else ' is there'}")
            except KeyError:
                failed.append(f"there is no user {name}")
            except StorageError as exc:
                failed.append(str(exc))
    if failed:
        raise ConfigurationError("\n".join(failed), hint="Run it again when that is mended; what is made stays.")


def is_for_each_user(folder: Path) -> bool:
    """Whether a folder was set as ``.../$USER``."""
    return folder.name == user_name()


def is_shared(settings: Settings, name: str) -> bool:
    """Whether a folder is for all users: the site file names it, or it is root who makes it for the others."""
    return settings.sources[name].startswith("site file") or os.geteuid() == 0


def _folder(path: Path, mode: int, what: str) -> str:
    if path.is_dir():
        found = stat.S_IMODE(path.stat().st_mode)
        advice = "" if found == mode else f"; expected {mode:04o}: chmod {mode:o} {path}"
        return f"{what}: {path} is there (mode {found:04o}{advice})"
    try:
        make_folder(path, mode=mode, mode_above=PRIVATE_MODE if mode == PRIVATE_MODE else PUBLIC_MODE)
    except OSError as exc:
        raise ConfigurationError(
            f"The {what} folder {path} cannot be made: {exc.strerror}.",
            hint=f"Run gsadmin as an admin, or set another with GSBATCH_{what.upper()}_DIR.",
        ) from exc
    return f"{what}: made {path} (mode {mode:04o})"


def _corpus(path: Path) -> str:
    existed = path.exists()
    with store.writing(path) as db:
        runs = db.table("runs").count
    verb = f"{path} is there, with {runs} runs" if existed else f"made {path}"
    owner = "readable by its owner only" if not path.stat().st_mode & 0o044 else "readable by others"
    return f"corpus: {verb} (version {len(schema.names())}, {owner})"
