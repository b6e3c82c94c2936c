"""``gsadmin``: the admin's commands. The module of each is imported when it is called."""

from __future__ import annotations

import importlib

import click

import advisor
from advisor.cli.errors import handle_errors

# Name of the command: its module and the line that `gsadmin --help` shows, so that help loads none of them.
COMMANDS = {
    "init": (
        "advisor.cli.admin.init",
        "Make the spool folder, the corpus and the models folder, where they are not yet.",
    ),
    "ingest": ("advisor.cli.admin.ingest", "Read new traces and Slurm's accounting into the corpus."),
    "retrain": ("advisor.cli.admin.retrain", "Fit a new model from the prior and the corpus."),
    "calibrate": (
        "advisor.cli.admin.calibrate",
        "Show how far off predictions were, per GPU and partition; with --apply, correct them.",
    ),
    "models": ("advisor.cli.admin.models", "List, show, promote and roll back models."),
    "corpus": ("advisor.cli.admin.corpus", "Look into the corpus: runs, rejected files, export, check."),
    "doctor": ("advisor.cli.admin.doctor", "Check settings, Slurm, sensors, folders, corpus and model."),
    "completion": (
        "advisor.cli.admin.completion",
        "Print what SHELL reads to complete gsbatch, gsinfo, gseff and gsadmin.",
    ),
}

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin init && gsadmin doctor       once
    gsadmin ingest                       from cron
    gsadmin retrain                      from cron, weekly
"""


class _LazyGroup(click.Group):
    """A group that imports a command's module when the command is called, so that cron jobs and completion load one."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 (click's signature)
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(COMMANDS[cmd_name][0])
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 (click's signature)
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_module, summary) in COMMANDS.items()])


@click.group(cls=_LazyGroup, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(advisor.__version__, prog_name="gsadmin")
def gsadmin() -> None:
    """Set up and look after gsbatch on a cluster."""


def main() -> None:
    """Entry point."""
    handle_errors(gsadmin, prog_name="gsadmin")
