"""sbatch's options as sbatch itself reads them: which take a value, and where the options end.

The rules are getopt_long's with a leading ``+``: the first argument that is no option is the script, and all after
it are the script's. A long option may be cut to an unambiguous beginning. The tables hold every option of Slurm
22.05 to 26.11 (``sbatch --help``, sbatch(1)).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass

from advisor.errors import UsageError

WITH_VALUE = """
account acctg-freq array autocomplete batch bb bbf begin chdir cluster cluster-constraint clusters comment constraint
container container-id context core-spec cores-per-socket cpu-freq cpus-per-gpu cpus-per-task deadline delay-boot
dependency distribution error exclude export export-file extra extra-node-info gid gpu-bind gpu-freq gpus gpus-per-node
gpus-per-socket gpus-per-task gres gres-flags hint input job-name kill-on-invalid-dep licenses mail-type mail-user
mcs-label mem mem-bind mem-per-cpu mem-per-gpu mem-update mincpus network nodefile nodelist nodes ntasks
ntasks-per-core ntasks-per-gpu ntasks-per-node ntasks-per-socket ntasks-per-tres open-mode output partition power
prefer priority profile qos reservation resources runtime segment signal sockets-per-node switches tasks-per-node
thread-spec threads-per-core time time-min tmp tres-bind tres-per-task uid wait-all-nodes wckey wrap
""".split()  # noqa: SIM905 (one name a line would hide that this is sbatch's own list)
# Their value stands only after "=": "--nice 5" is --nice and a script named 5. get-user-env took one until 24.11.
WITH_OPTIONAL_VALUE = "exclusive get-user-env nice no-kill oom-kill-step propagate requeue resv-ports".split()  # noqa: SIM905 (sbatch's own list, as it prints it)
FLAGS = """
consolidate-segments contiguous external help hold ignore-pbs no-requeue overcommit oversubscribe parsable quiet reboot
share spread-job spread-segments stepmgr test-only usage use-min-nodes verbose version wait
""".split()  # noqa: SIM905 (sbatch's own list, as it prints it)
_SHORT = {
    "a": "array", "A": "account", "b": "begin", "B": "extra-node-info", "c": "cpus-per-task", "C": "constraint",
    "d": "dependency", "D": "chdir", "e": "error", "F": "nodefile", "G": "gpus", "h": "help", "H": "hold",
    "i": "input", "J": "job-name", "k": "no-kill", "L": "licenses", "m": "distribution", "M": "clusters",
    "n": "ntasks", "N": "nodes", "o": "output", "O": "overcommit", "p": "partition", "q": "qos", "Q": "quiet",
    "s": "oversubscribe", "S": "core-spec", "t": "time", "v": "verbose", "V": "version", "w": "nodelist",
    "W": "wait", "x": "exclude",
}  # fmt: skip
_ALIASES = {"cluster": "clusters", "tasks-per-node": "ntasks-per-node", "share": "oversubscribe"}
LONG_OPTIONS = frozenset([*WITH_VALUE, *WITH_OPTIONAL_VALUE, *FLAGS])


@dataclass(frozen=True, slots=True)
class Option:
    """One option as the user gave it: its full long name, its value, and the arguments that it was written as.

    A bundle of short options (``-Qn4``) is several options; the first carries the argument of all.
    """

    name: str
    value: str | None
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SplitArguments:
    """A command line taken apart: sbatch's options, our own, and what follows the last option."""

    options: tuple[Option, ...]
    own: tuple[Option, ...]
    rest: tuple[str, ...]


def _unknown_is_flag(_name: str) -> bool:
    return False


def split_options(
    arguments: Sequence[str],
    *,
    own: Collection[str] = (),
    own_with_value: Collection[str] = (),
    own_with_choice: Collection[str] = (),
    unknown_takes_value: Callable[[str], bool] = _unknown_is_flag,
) -> SplitArguments:
    """Read arguments as sbatch would, setting our own options aside.

    Args:
        arguments: what follows the command's name, or those of all directives.
        own: long options of ours that take no value; own names are never read from an abbreviation.
        own_with_value: long options of ours that take one.
        own_with_choice: long options of ours that may have one, behind ``=``.
        unknown_takes_value: asked for a long option that is in no table (a SPANK plugin's, a future release's) and
            that has no ``=``: whether the next argument is its value.

    Raises:
        UsageError: an option of ours lacks its value or has one too many.
    """
    options: list[Option] = []
    own_options: list[Option] = []
    queue = list(arguments)
    while queue and queue[0].startswith("-") and queue[0] != "-":
        argument = queue.pop(0)
        if argument == "--":
            break
        if not argument.startswith("--"):
            options += _short_options(argument, queue)
            continue
        name, equals, value = argument[2:].partition("=")
        if name in own_with_choice:
            own_options.append(Option(name, value if equals else None))
            continue
        if name in own or name in own_with_value:
            own_options.append(_own_option(name, value if equals else None, queue, takes_value=name in own_with_value))
            continue
        name = _full_name(name)
        taken: tuple[str, ...] = (argument,)
        if not equals and (name in WITH_VALUE or (name not in LONG_OPTIONS and unknown_takes_value(name))) and queue:
            taken = (argument, queue.pop(0))
        options.append(Option(_ALIASES.get(name, name), value if equals else _second(taken), taken))
    return SplitArguments(tuple(options), tuple(own_options), tuple(queue))


def is_known(name: str) -> bool:
    """Whether a long option, or the beginning of one, is in the tables."""
    return _full_name(name) in LONG_OPTIONS


def arguments_without_quiet(options: Iterable[Option]) -> tuple[str, ...]:
    """The arguments of sbatch's options less every ``-Q``, also where it stands in a bundle."""
    arguments: list[str] = []
    start = letter = 0
    for option in options:
        if option.arguments:
            start, letter = len(arguments), 1
            arguments += option.arguments
        if option.name != "quiet":
            letter += 1
        elif arguments[start].startswith("--") or len(arguments[start]) == len("-Q"):
            del arguments[start]
        else:
            arguments[start] = arguments[start][:letter] + arguments[start][letter + 1 :]
    return tuple(arguments)


def _own_option(name: str, value: str | None, queue: list[str], *, takes_value: bool) -> Option:
    if not takes_value:
        if value is not None:
            raise UsageError(f"--{name} takes no value.")
        return Option(name, None)
    if value is None:
        if not queue:
            raise UsageError(f"--{name} needs a value.", hint="See: gsbatch --help")
        value = queue.pop(0)
    return Option(name, value)


def _second(arguments: tuple[str, ...]) -> str | None:
    return arguments[1] if len(arguments) > 1 else None


def _full_name(name: str) -> str:
    if name in LONG_OPTIONS:
        return name
    matches = {_ALIASES.get(known, known) for known in LONG_OPTIONS if known.startswith(name)}
    return matches.pop() if len(matches) == 1 else name


def _short_options(argument: str, queue: list[str]) -> list[Option]:
    found: list[Option] = []
    taken = [argument]
    letters = argument[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        name = _SHORT.get(letter, letter)
        value: str | None = None
        if name in WITH_VALUE:
            if not letters and queue:
                taken.append(queue.pop(0))
                value = taken[-1]
            else:
                value = letters or None
            letters = ""
        elif name in WITH_OPTIONAL_VALUE:
            value, letters = letters or None, ""
        found.append(Option(name, value))
    return [Option(found[0].name, found[0].value, tuple(taken)), *found[1:]]
