"""``gsadmin init``: makes the folders and the corpus."""

from __future__ import annotations

import click

from advisor.errors import ConfigurationError
from advisor.settings import load_settings
from advisor.workflows.initialise import (
    InitialisedCorpus,
    InitialisedFolder,
    UserFolder,
    accounting_users,
    initialise,
    make_user_folders,
)

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
    names = (*users, *(accounting_users() if all_users else ()))
    site = initialise(settings, makes_users=bool(names) or all_users)
    for folder in site.folders:
        click.echo(_folder_line(folder))
    if site.open_to_squatters:
        click.echo(
            f"spool: any user can take another's name in {site.open_to_squatters};"
            " gsadmin init --all-users prevents that"
        )
    click.echo(_corpus_line(site.corpus))
    if names:
        _show_users(make_user_folders(settings, names))


def _show_users(folders: tuple[UserFolder, ...]) -> None:
    failures = [folder.failure for folder in folders if folder.failure is not None]
    for folder in folders:
        if folder.failure is None:
            click.echo(f"spool: made {folder.path}" if folder.is_new else f"spool: {folder.path} is there")
    if failures:
        raise ConfigurationError("\n".join(failures), hint="Run it again when that is mended; what is made stays.")


def _folder_line(folder: InitialisedFolder) -> str:
    path, mode = folder.path, folder.expected_mode
    if folder.is_new:
        return f"{folder.what}: made {path} (mode {mode:04o})"
    advice = "" if folder.mode == mode else f"; expected {mode:04o}: chmod {mode:o} {path}"
    return f"{folder.what}: {path} is there (mode {folder.mode:04o}{advice})"


def _corpus_line(corpus: InitialisedCorpus) -> str:
    verb = f"made {corpus.path}" if corpus.is_new else f"{corpus.path} is there, with {corpus.runs} runs"
    readers = "readable by its owner only" if corpus.is_private else "readable by others"
    return f"corpus: {verb} (version {corpus.version}, {readers})"
