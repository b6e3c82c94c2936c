"""``gsadmin init``: the folders and the corpus."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import click

from advisor.corpus import schema, store
from advisor.errors import ConfigurationError
from advisor.request.user import user_name
from advisor.settings import Settings, load_settings

# As /tmp: job nodes of all users create files, nobody removes another's.
SHARED_SPOOL_MODE = 0o1777
PRIVATE_MODE = 0o700
PUBLIC_MODE = 0o755
# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin init
    GSBATCH_SITE_CONFIG=/etc/gsbatch/config.toml gsadmin init
"""


@click.command("init", epilog=EXAMPLES)
def command() -> None:
    """Make the spool folder, the corpus and the models folder, where they are not yet.

    Paths come from the settings (gsadmin doctor shows them). Folders that a site file names, or that root
    makes, are for all users: the spool is world-writable and sticky like /tmp, the models are readable by all. Others
    are yours alone.
    Running it again changes nothing but brings an older corpus up to date.
    """
    settings = load_settings()
    for line in initialise(settings):
        click.echo(line)


def initialise(settings: Settings) -> list[str]:
    """Make what is missing and say what was done, one line each.

    Raises:
        ConfigurationError: a folder cannot be made, or something else lies in its place.
        CorpusError: the corpus cannot be made.
    """
    lines = []
    spool_mode = SHARED_SPOOL_MODE if is_shared(settings, "spool_dir") else PRIVATE_MODE
    if spool_mode == SHARED_SPOOL_MODE and is_for_each_user(settings.spool_dir):
        # The folder above is where every user makes one of their own.
        lines.append(_folder(settings.spool_dir.parent, SHARED_SPOOL_MODE, "spool"))
        spool_mode = PRIVATE_MODE
    models_mode = PUBLIC_MODE if is_shared(settings, "models_dir") else PRIVATE_MODE
    return [
        *lines,
        _folder(settings.spool_dir, spool_mode, "spool"),
        _folder(settings.models_dir, models_mode, "models"),
        _corpus(settings.corpus),
    ]


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
        path.mkdir(parents=True)
        # mkdir's own mode is cut by the umask.
        path.chmod(mode)
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
