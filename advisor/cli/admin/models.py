"""``gsadmin models``: lists, shows, promotes and rolls back stored models."""

from __future__ import annotations

import json

import click

from advisor.registry import Registry, StoredModel
from advisor.settings import load_settings
from advisor.workflows.site import site_registry

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin models list
    gsadmin models show prior
    gsadmin models promote 20261121-040000
    gsadmin models rollback
"""
PRIOR = "prior"


@click.group("models", epilog=EXAMPLES)
@click.pass_context
def command(context: click.Context) -> None:
    """List, show, promote and roll back models.

    Versions are kept: promoting one only says which predicts from now on. Every file of a model is checked against
    its checksum whenever it is read.
    """
    context.obj = site_registry(load_settings())


@command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_models(registry: Registry, *, as_json: bool) -> None:
    """List all versions, oldest first; the one that predicts is marked."""
    predicting = registry.promoted()
    models = [registry.prior(), *registry.versions()]
    if as_json:
        click.echo(json.dumps([_object(model, predicting) for model in models]))
        return
    for model in models:
        mark = "*" if model.folder == predicting.folder else " "
        click.echo(f"{mark} {_name(model, registry)}  {model.created_at}  learned from {model.trained_on_runs} runs")


def _name(model: StoredModel, registry: Registry) -> str:
    return f"{PRIOR} ({model.version})" if model.folder == registry.shipped else model.version


def _object(model: StoredModel, predicting: StoredModel) -> dict[str, object]:
    return {
        "name": model.name,
        "version": model.version,
        "created_at": model.created_at,
        "promoted_at": model.promoted_at,
        "trained_on_runs": model.trained_on_runs,
        "predicts": model.folder == predicting.folder,
        "folder": str(model.folder),
    }


@command.command()
@click.argument("version", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print the card as JSON.")
@click.pass_obj
def show(registry: Registry, version: str | None, *, as_json: bool) -> None:
    """Show the card of a VERSION, of "prior", or of the model that predicts."""
    model = _named(registry, version)
    click.echo(json.dumps(model.card()) if as_json else model.card_text())


def _named(registry: Registry, version: str | None) -> StoredModel:
    if version is None:
        return registry.promoted()
    return registry.prior() if version == PRIOR else registry.open(version)


@command.command()
@click.argument("version")
@click.pass_obj
def promote(registry: Registry, version: str) -> None:
    """Let VERSION predict from now on."""
    model = registry.promote(version)
    click.echo(f"model {model.version} predicts from now on; gsadmin models rollback returns to the one before")


@command.command()
@click.pass_obj
def rollback(registry: Registry) -> None:
    """Return to the model that predicted before."""
    model = registry.roll_back()
    click.echo(f"model {_name(model, registry)} predicts from now on")
