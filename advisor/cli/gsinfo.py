"""``gsinfo``: the GPU partitions as the advisor sees them."""

from __future__ import annotations

import json
import os

import click

import advisor
from advisor.cli.errors import handle_errors
from advisor.cli.screens.inventory import inventory_object, print_inventory
from advisor.inventory.backend import BACKENDS
from advisor.inventory.read import DEFAULT_MAX_AGE_S, default_cache_dir
from advisor.settings import load_settings
from advisor.workflows.cluster import read_cluster
from advisor.workflows.partition_gpus import partition_gpus

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsinfo
    gsinfo --all                                   also what you may not use, and why
    gsinfo --json | jq '.partitions[].name'
    gsinfo --inventory docs/examples/datacentre.toml
"""


@click.command("gsinfo", context_settings={"help_option_names": ["-h", "--help"]}, epilog=EXAMPLES)
@click.option("--inventory", metavar="FILE", help="Read a described cluster (TOML) in place of Slurm.")
@click.option("--backend", type=click.Choice(BACKENDS), help="How Slurm is asked.")
@click.option("--fresh", is_flag=True, help=f"Ask Slurm anew, whatever was read in the last {DEFAULT_MAX_AGE_S:g} s.")
@click.option("--all", "show_all", is_flag=True, help="Also show what you may not use, with the reason.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; SI units.")
@click.version_option(advisor.__version__, prog_name="gsinfo")
def command(inventory: str | None, backend: str | None, *, fresh: bool, show_all: bool, as_json: bool) -> None:
    """Show the GPU partitions that you may use, as the advisor sees them.

    One line for each GPU model of each partition: how many, how many idle, what the model is, and the limits of a job.
    A GPU that is marked with "?" is unknown or was told from an ambiguous name; --all says which.
    """
    given = {"inventory": inventory, "backend": backend}
    settings = load_settings(command_line={name: value for name, value in given.items() if value is not None})
    cluster = read_cluster(
        settings, cache_dir=default_cache_dir(os.environ), max_age_s=0.0 if fresh else DEFAULT_MAX_AGE_S
    )
    rows = [row for row in partition_gpus(cluster) if show_all or row.reason is None]
    if as_json:
        click.echo(json.dumps(inventory_object(cluster, rows)))
    else:
        print_inventory(cluster, rows, show_all=show_all)


def main() -> None:
    """Run ``gsinfo``."""
    handle_errors(command, prog_name="gsinfo")


if __name__ == "__main__":
    main()
