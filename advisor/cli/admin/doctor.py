"""``gsadmin doctor``: one line for each thing that gsbatch needs, and the next step if it is missing or wrong."""

from __future__ import annotations

import json
from dataclasses import asdict, fields

import click

from advisor.settings import Settings, load_settings
from advisor.workflows.check_site import FAIL, Check, all_checks

# \b keeps click from filling the lines.
EXAMPLES = """\b
Examples:
    gsadmin doctor
    gsadmin doctor --json | jq '.checks[] | select(.verdict != "OK")'
"""


@click.command("doctor", epilog=EXAMPLES)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: settings and checks.")
@click.pass_context
def command(context: click.Context, *, as_json: bool) -> None:
    """Check settings, Slurm, sensors, folders, corpus and model.

    Shows each setting with the layer it came from, then a line for each check: OK, WARN (works, but less well) or
    FAIL, with the next step. The exit status is 1 where something fails.
    """
    settings = load_settings()
    checks = all_checks(settings)
    click.echo(json.dumps(_object(settings, checks)) if as_json else _text(settings, checks))
    context.exit(1 if any(check.verdict == FAIL for check in checks) else 0)


def _setting_rows(settings: Settings) -> list[tuple[str, str, str]]:
    return [
        (item.name, str(getattr(settings, item.name)), settings.sources[item.name])
        for item in fields(settings)
        if item.name != "sources"
    ]


def _object(settings: Settings, checks: list[Check]) -> dict[str, object]:
    rows = _setting_rows(settings)
    return {
        "settings": {name: {"value": value, "source": source} for name, value, source in rows},
        "checks": [asdict(check) for check in checks],
    }


def _text(settings: Settings, checks: list[Check]) -> str:
    rows = _setting_rows(settings)
    width = max(len(name) for name, _value, _source in rows)
    lines = ["Settings", *(f"  {name.ljust(width)}  {value}  ({source})" for name, value, source in rows), "", "Checks"]
    for check in checks:
        lines.append(f"  {check.verdict.ljust(4)}  {check.name}: {check.message}")
        if check.next_step:
            lines.append(f"        next: {check.next_step}")
    return "\n".join(lines)
