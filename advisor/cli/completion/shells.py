"""The text that a shell reads to complete ``gsbatch``, ``gsinfo``, ``gseff`` and ``gsadmin``.

click completes the last three. ``gsbatch`` is no click command. bash and fish add its options to what Slurm's own
completion offers for sbatch; zsh, for which Slurm has none, is given sbatch's options too.
"""

from __future__ import annotations

import importlib.resources
from collections.abc import Callable, Iterator, Mapping

import click
from click.shell_completion import get_completion_class

from advisor.cli.gsbatch_help import OptionLine, option_lines
from advisor.inspection.workload import Workload
from advisor.request.sbatch_options import FLAGS, LONG_OPTIONS, WITH_OPTIONAL_VALUE, WITH_VALUE
from advisor.settings import BUDGET_ON, BUDGET_SIGNALS, OBJECTIVES

SHELLS = ("bash", "zsh", "fish")
# What may follow an option of gsbatch. An option that is not here and takes a value takes one of the user's own.
_VALUES: Mapping[str, tuple[str, ...]] = {
    "--objective": OBJECTIVES,
    "--set": tuple(f"{name}=" for name, _fact in Workload().facts()),
    "--budget-on": BUDGET_ON,
    "--budget-signal": BUDGET_SIGNALS,
    "--probe": ("fresh", "job"),
}
_FILES = frozenset({"--inventory"})


def completion_text(shell: str, commands: Mapping[str, Callable[[], click.Command]]) -> str:
    """What the shell sources.

    Args:
        shell: one of ``SHELLS``.
        commands: the click commands by name, each loaded when it is called.
    """
    own = {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()
    return "\n".join([own, *(_of_click(shell, name, load()) for name, load in commands.items())])


def _of_click(shell: str, name: str, command: click.Command) -> str:
    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}.")
    return kind(command, {}, name, f"_{name.upper()}_COMPLETE").source()


def _bash() -> str:
    template = importlib.resources.files("advisor.cli.completion").joinpath("gsbatch.bash").read_text(encoding="utf-8")
    return (
        template.replace("@CASES@", "\n".join(_bash_cases()))
        .replace("@SBATCH_OPTIONS@", " ".join(f"--{name}" for name in sorted(LONG_OPTIONS)))
        .replace("@OWN_OPTIONS@", " ".join(line.long for line in option_lines()))
    )


def _bash_cases() -> Iterator[str]:
    for line in option_lines():
        values = f'values="{" ".join(_VALUES.get(line.long, ()))}"'
        if line.long in _FILES:
            does = 'compopt -o filenames 2> /dev/null; COMPREPLY=($(compgen -f -- "$cur")); return 0'
        elif line.is_value_optional:
            does = f"[[ -z $behind_equals ]] || {values}"
        elif line.long in _VALUES:
            does = values
        elif line.value is not None:
            does = "return 0"
        else:
            continue
        yield f"        {line.long}) {does} ;;"


def _zsh() -> str:
    """Native completion; sbatch's options come without help, which zsh takes from no other command."""
    lines = ["#compdef gsbatch", "_gsbatch() {", "    _arguments -S \\"]
    for line in option_lines():
        repeated = "*" if line.long == "--set" else ""
        takes = "" if line.value is None else f"{'::' if line.is_value_optional else ':'}{_zsh_value(line)}"
        equals = "" if line.value is None else ("=-" if line.is_value_optional else "=")
        lines.append(f"        '{repeated}{line.long}{equals}[{_zsh_quoted(line.help)}]{takes}' \\")
    own = {line.long for line in option_lines()}
    lines += [
        f"        '--{name}{equals}[sbatch]{takes}' \\"
        for names, equals, takes in (
            (FLAGS, "", ""),
            (WITH_VALUE, "=", ":value:"),
            (WITH_OPTIONAL_VALUE, "=-", "::value:"),
        )
        for name in sorted(names)
        if f"--{name}" not in own
    ]
    return "\n".join([*lines, "        '*:file:_files'", "}", "compdef _gsbatch gsbatch", ""])


def _zsh_value(line: OptionLine) -> str:
    if line.long in _FILES:
        return "file:_files"
    return f"value:({' '.join(_VALUES[line.long])})" if line.long in _VALUES else "value:"


def _zsh_quoted(text: str) -> str:
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def _fish() -> str:
    lines = ["complete -c gsbatch -w sbatch"]
    for line in option_lines():
        takes = "" if line.value is None or line.is_value_optional else (" -r -F" if line.long in _FILES else " -x")
        choices = f" -a '{' '.join(_VALUES[line.long])}'" if line.long in _VALUES else ""
        help_text = line.help.replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"complete -c gsbatch -l {line.long.removeprefix('--')}{takes}{choices} -d '{help_text}'")
    return "\n".join(lines) + "\n"
