"""Shell builtins that change the shell's own state, and commands that activate an environment."""

from __future__ import annotations

import os.path
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import PurePosixPath

from advisor.inspection.shell.arithmetic import NotKnown
from advisor.inspection.shell.expansion import number_of_text
from advisor.inspection.shell.state import State, Word, hole

_Builtin = Callable[[State, Sequence[Word]], "bool | None"]
_CONDA = frozenset({"conda", "mamba", "micromamba"})


def run_builtin(name: str, state: State, arguments: Sequence[Word]) -> bool | None:
    """Carry out what a builtin does to the state.

    Returns:
        Whether it succeeds, None where that is not known; success where it is no builtin that is followed here.
    """
    builtin = _BUILTINS.get(name)
    return True if builtin is None else builtin(state, arguments)


def is_followed(name: str) -> bool:
    """Whether ``run_builtin`` follows this command."""
    return name in _BUILTINS


def _cd(state: State, arguments: Sequence[Word]) -> bool:
    words = [word for word in arguments if word.text not in {"-L", "-P", "--"}]
    here, before = state.variables.get("PWD"), state.variables.get("OLDPWD")
    if not words:
        state.variables["PWD"] = state.variables.get("HOME") or hole("~, which is a folder that is not known")
    elif words[0].text == "-":
        state.variables["PWD"] = before
    elif words[0].unknown or (here is not None and here.unknown and not words[0].text.startswith("/")):
        reasons = words[0].unknown or (here.unknown if here is not None else ())
        state.variables["PWD"] = hole(f"the folder {words[0].text.replace(chr(0), '...')}: {'; '.join(reasons)}")
    else:
        text = os.path.join(here.text if here is not None else "", words[0].text)  # noqa: PTH118 (text of another host)
        state.variables["PWD"] = Word(os.path.normpath(text))
    state.variables["OLDPWD"] = here
    return True


def _pushd(state: State, arguments: Sequence[Word]) -> bool:
    return _cd(state, arguments)


def _popd(state: State, _arguments: Sequence[Word]) -> bool:
    return _cd(state, [Word("-")])


def _shift(state: State, arguments: Sequence[Word]) -> bool:
    if arguments and not arguments[0].text.isdecimal():
        state.arguments = (hole("$@, of which a number is taken off that is not known"),)
        return True
    count = int(arguments[0].text) if arguments else 1
    if count > len(state.arguments):
        return False
    state.arguments = state.arguments[count:]
    return True


def _set(state: State, arguments: Sequence[Word]) -> bool:
    for position, word in enumerate(arguments):
        if word.text in {"-a", "+a"}:
            state.exports_all = word.text == "-a"
        if word.text == "--" or not word.text.startswith(("-", "+")):
            state.arguments = tuple(arguments[position + (word.text == "--") :])
            break
        if word.text in {"-o", "+o"}:
            break
    return True


def _read(state: State, arguments: Sequence[Word]) -> None:
    """``read`` takes its values from its input, which is not known."""
    option = ""
    for word in arguments:
        if option:
            if option == "a":
                state.arrays[word.text] = {"0": hole(f"${{{word.text}[@]}}, which is read from a file")}
            option = ""
        elif word.text.startswith("-"):
            option = word.text[-1] if word.text[-1] in "adinNptu" else ""
        else:
            state.assign(word.text, hole(f"${word.text}, which is read from a file"))
    if not arguments:
        state.assign("REPLY", hole("$REPLY, which is read from a file"))


def read_text(state: State, arguments: Sequence[Word], stdin: Word) -> bool:
    """``read`` from a text."""
    names = [word.text for word in arguments if not word.text.startswith("-")]
    if stdin.unknown or any(word.text.startswith("-") and word.text != "-r" for word in arguments):
        _read(state, arguments)
        return True
    fields = stdin.text.split("\n")[0].split(None, max(len(names) - 1, 0))
    for position, name in enumerate(names):
        state.assign(name, Word(fields[position] if position < len(fields) else ""))
    return True


def _mapfile(state: State, arguments: Sequence[Word]) -> bool:
    name = arguments[-1].text if arguments and not arguments[-1].text.startswith("-") else "MAPFILE"
    state.arrays[name] = {"0": hole(f"${{{name}[@]}}, which is read from a file")}
    return True


def _let(state: State, arguments: Sequence[Word]) -> bool | None:
    try:
        values = [number_of_text(word.text, state) for word in arguments if not word.unknown]
    except NotKnown:
        return None
    return bool(values[-1]) if len(values) == len(arguments) and values else None


def _getopts(state: State, arguments: Sequence[Word]) -> bool | None:
    """One round of ``getopts``: the next option of the arguments."""
    if len(arguments) < 2 or any(word.unknown for word in arguments):  # noqa: PLR2004 (options and a name)
        return None
    options, name = arguments[0].text, arguments[1].text
    given = arguments[2:] or state.arguments
    index, place = state.variables.get("OPTIND") or Word("1"), state.variables.get("\0place") or Word("1")
    at, letter_at = int(index.text) - 1, int(place.text)
    current = given[at] if at < len(given) else Word("")
    if current.unknown:
        state.assign(name, hole(f"${name}, an option that is not known"))
        return None
    if not current.text.startswith("-") or current.text in {"-", "--"}:
        state.assign(name, Word("?"))
        return False
    letter, rest = current.text[letter_at : letter_at + 1], current.text[letter_at + 1 :]
    takes = f"{letter}:" in options
    known = letter in options.replace(":", "")
    following = at + 1
    if takes and not rest:
        value: Word | None = given[following] if following < len(given) else None
        following += 1
    else:
        value = Word(rest) if takes else None
    is_next = takes or not rest
    state.assign("OPTARG", value)
    state.assign("OPTIND", Word(str(following + 1 if is_next else at + 1)))
    state.variables["\0place"] = Word("1" if is_next else str(letter_at + 1))
    state.assign(name, Word(letter if known else "?"))
    return True


def _module(state: State, arguments: Sequence[Word]) -> bool:
    texts = [word.text for word in arguments if not word.text.startswith("-")]
    if texts[:1] in (["load"], ["add"], ["try-load"]):
        state.setup = replace(state.setup, modules=(*state.setup.modules, *texts[1:]))
    elif texts[:1] in (["purge"], ["reset"]):
        state.setup = replace(state.setup, modules=())
    return True


def _ml(state: State, arguments: Sequence[Word]) -> bool:
    known = {"load", "add", "purge", "unload", "list", "spider", "avail", "swap", "show", "use", "reset", "restore"}
    is_short = bool(arguments) and arguments[0].text not in known
    return _module(state, [Word("load"), *arguments] if is_short else arguments)


def _conda(state: State, arguments: Sequence[Word]) -> bool:
    if arguments and arguments[0].text == "activate":
        chosen = next((word for word in arguments[1:] if not word.text.startswith("-")), Word("base"))
        state.setup = replace(state.setup, conda=chosen, virtual_environment=None)
    elif arguments and arguments[0].text == "deactivate":
        state.setup = replace(state.setup, conda=None)
    return True


def _deactivate(state: State, _arguments: Sequence[Word]) -> bool:
    state.setup = replace(state.setup, virtual_environment=None)
    return True


def activate(state: State, arguments: Sequence[Word]) -> bool:
    """``source .../activate``: of a virtual environment, or conda's with an environment's name. False where neither."""
    path = PurePosixPath(arguments[0].text)
    if not path.name.startswith("activate"):
        return False
    if len(arguments) > 1:
        state.setup = replace(state.setup, conda=arguments[1], virtual_environment=None)
    elif path.parent.name == "bin":
        here = state.variables.get("PWD")
        folder = path.parent.parent
        if here is not None and not here.unknown:
            folder = PurePosixPath(here.text, folder)
        state.setup = replace(state.setup, virtual_environment=Word(str(folder)), conda=None)
    return True


def note_conda(state: State, text: str) -> None:
    """Remember conda's own folder from ``ROOT/etc/profile.d/conda.sh`` or ``$(ROOT/bin/conda shell.bash hook)``."""
    match = re.search(
        r"(/[^\s'\"$()]+)/(?:etc/profile\.d/(?:conda|mamba)\.sh|(?:bin|condabin)/(?:conda|mamba|activate))\b", text
    )
    if match is not None:
        state.setup = replace(state.setup, conda_root=match.group(1))


_BUILTINS: Mapping[str, _Builtin] = {
    "cd": _cd, "pushd": _pushd, "popd": _popd, "shift": _shift, "set": _set, "read": _read, "mapfile": _mapfile,
    "readarray": _mapfile, "let": _let, "getopts": _getopts, "module": _module, "ml": _ml, "deactivate": _deactivate,
    **dict.fromkeys(_CONDA, _conda),
    "true": lambda _state, _arguments: True, ":": lambda _state, _arguments: True,
    "false": lambda _state, _arguments: False,
}  # fmt: skip
