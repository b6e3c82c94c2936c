"""gsbatch's command line: gsbatch's options are parsed, sbatch's are kept as they were typed."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from advisor.errors import UsageError
from advisor.request.sbatch_options import Option, split_options

OWN_FLAGS = frozenset({
    "advise", "explain-workload", "json", "print-script", "local", "methods", "no-probe", "no-record",
})  # fmt: skip
_STOP_OPTIONS = frozenset({"energy-budget", "budget-on", "budget-signal", "min-gain"})
OWN_WITH_VALUE = frozenset({"objective", "set", "inventory"}) | _STOP_OPTIONS
OWN_WITH_CHOICE = frozenset({"probe"})
# What may stand on a #GSBATCH line: what to do with the script is the command line's alone.
DIRECTIVE_FLAGS = frozenset({"no-probe", "no-record"})
DIRECTIVE_WITH_VALUE = frozenset({"objective", "set"}) | _STOP_OPTIONS


class Mode(enum.Enum):
    """What to do with the script."""

    SUBMIT = "submit"
    ADVISE = "advise"
    EXPLAIN = "explain-workload"
    JSON = "json"
    PRINT_SCRIPT = "print-script"
    LOCAL = "local"


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandLine:
    """What was typed.

    ``options`` are sbatch's, ``own`` are gsbatch's. ``script`` is None for standard input and ``--wrap``, ``arguments``
    are the script's. ``is_heterogeneous`` marks components separated by ``:``.
    """

    mode: Mode
    own: tuple[Option, ...]
    options: tuple[Option, ...]
    script: str | None
    arguments: tuple[str, ...]
    is_heterogeneous: bool

    @property
    def sbatch_arguments(self) -> tuple[str, ...]:
        """All arguments but those of our options; ``--`` keeps a script's name from being read as an option."""
        return (*_arguments_of(self.options), *self.script_arguments)

    @property
    def script_arguments(self) -> tuple[str, ...]:
        """The script and what follows it; nothing where there is no file."""
        if self.script is None:
            return ()
        guard = ("--",) if self.script.startswith("-") and self.script != "-" else ()
        return (*guard, self.script, *self.arguments)

    @property
    def sbatch_options(self) -> tuple[Option, ...]:
        """The options of sbatch for a script; the command of ``--wrap`` is in the script by then."""
        return tuple(option for option in self.options if option.name != "wrap")

    @property
    def option_arguments(self) -> tuple[str, ...]:
        """The arguments of ``sbatch_options``, as they were typed."""
        return _arguments_of(self.sbatch_options)

    @property
    def reads_stdin(self) -> bool:
        """Whether the script comes on standard input."""
        return self.script is None and self.value("wrap") is None and not self.is_left_to_sbatch

    @property
    def is_left_to_sbatch(self) -> bool:
        """Whether there is nothing to advise: sbatch submits nothing, or a job whose steps start elsewhere."""
        return self.is_heterogeneous or self.has("version", "usage", "autocomplete", "external")

    def value(self, name: str) -> str | None:
        """The last value of an sbatch option."""
        return next((option.value for option in reversed(self.options) if option.name == name), None)

    def has(self, *names: str) -> bool:
        """Whether any of these sbatch options was given."""
        return any(option.name in names for option in self.options)


def _arguments_of(options: Iterable[Option]) -> tuple[str, ...]:
    return tuple(argument for option in options for argument in option.arguments)


def parse_command_line(arguments: Sequence[str], *, unknown_takes_value: Callable[[str], bool]) -> CommandLine:
    """Read the arguments of ``gsbatch``.

    Args:
        arguments: without the program's name.
        unknown_takes_value: see ``split_options``.

    Raises:
        UsageError: one of our own options is wrong; sbatch's are sbatch's to judge.
    """
    found = split_options(
        arguments,
        own=OWN_FLAGS,
        own_with_value=OWN_WITH_VALUE,
        own_with_choice=OWN_WITH_CHOICE,
        unknown_takes_value=unknown_takes_value,
    )
    script, *script_arguments = found.rest or (None,)
    return CommandLine(
        mode=_mode({option.name for option in found.own}),
        own=found.own,
        options=found.options,
        script=script,
        arguments=tuple(argument for argument in script_arguments if argument is not None),
        is_heterogeneous=":" in found.rest,
    )


def _mode(names: set[str]) -> Mode:
    if Mode.EXPLAIN.value in names and names.isdisjoint({"local", "print-script", "advise"}):
        return Mode.EXPLAIN  # beside --json too, which then is how it is printed
    exclusive = [mode for mode in Mode if mode.value in names and mode is not Mode.ADVISE]
    if len(exclusive) > 1 or ("advise" in names and not names.isdisjoint({"local", "explain-workload"})):
        given = ", ".join(f"--{name}" for name in sorted(names & {mode.value for mode in Mode}))
        raise UsageError(f"Only one of {given} can be done at a time.")
    if exclusive:
        return exclusive[0]
    return Mode.ADVISE if "advise" in names else Mode.SUBMIT


def setting_texts(options: Iterable[Option]) -> dict[str, str]:
    """Our options as settings: name to text.

    Raises:
        UsageError: an option has two different values.
    """
    texts: dict[str, str] = {}
    for option in options:
        if option.name in {"no-probe", "no-record"}:
            name, text = option.name.removeprefix("no-"), "off"
        elif option.name == "probe":
            name, text = option.name, "on" if option.value is None else option.value
        elif option.name in {"objective", "inventory"} | _STOP_OPTIONS:
            name, text = option.name.replace("-", "_"), option.value or ""
        else:
            continue
        if texts.setdefault(name, text) != text:
            raise UsageError(f"--{option.name} has two values, '{texts[name]}' and '{text}'.", hint="Give one.")
    return texts


def facts(options: Iterable[Option]) -> dict[str, str]:
    """The workload facts of ``--set NAME=VALUE``: name to text.

    Raises:
        UsageError: one has no ``=``, or two values.
    """
    found: dict[str, str] = {}
    for option in options:
        if option.name != "set":
            continue
        name, equals, text = (option.value or "").partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not text.strip():
            raise UsageError(f"--set takes NAME=VALUE, not '{option.value}'.", hint="For example: --set epochs=50")
        if found.setdefault(name, text.strip()) != text.strip():
            raise UsageError(f"--set {name} has two values, '{found[name]}' and '{text.strip()}'.", hint="Give one.")
    return found


def environment_facts(environment: Mapping[str, str]) -> dict[str, str]:
    """The facts of ``GSBATCH_SET``, separated by blanks.

    Raises:
        UsageError: one has no ``=``, or two values.
    """
    return facts(Option("set", fact) for fact in environment.get("GSBATCH_SET", "").split())
