"""``gsadmin completion``: what a shell reads to complete all four commands."""

from __future__ import annotations

import importlib

import click

from advisor.cli.completion.shells import SHELLS, completion_text

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin completion bash > /etc/bash_completion.d/gsbatch      for all users
    eval "$(gsadmin completion bash)"                             in ~/.bashrc, for yourself
    eval "$(gsadmin completion zsh)"                              in ~/.zshrc, after compinit
    gsadmin completion fish > ~/.config/fish/conf.d/gsbatch.fish
"""


@click.command("completion", epilog=EXAMPLES)
@click.argument("shell", type=click.Choice(SHELLS))
def command(shell: str) -> None:
    """Print what SHELL reads to complete gsbatch, gsinfo, gseff and gsadmin.

    gsbatch completes its own options, and sbatch's as Slurm's own completion offers them where that is installed.
    """
    click.echo(completion_text(shell, {"gsinfo": _gsinfo, "gseff": _gseff, "gsadmin": _gsadmin}))


def _gsinfo() -> click.Command:
    found: click.Command = importlib.import_module("advisor.cli.gsinfo").command
    return found


def _gseff() -> click.Command:
    found: click.Command = importlib.import_module("advisor.cli.gseff").gseff
    return found


def _gsadmin() -> click.Command:
    return click.get_current_context().find_root().command
