"""What ``$(...)`` puts into a word, for commands whose output follows from their arguments alone."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence

from advisor.inspection.shell.state import State, Word, joined

_MOST = 1000


def printed(words: Sequence[Word], state: State) -> Word | None:
    """The output of a command without its last line end; None where only running it would tell."""
    if not words:
        return Word("")
    name, rest = words[0].text, list(words[1:])
    if name == "pwd":
        return state.variables.get("PWD")
    if name == "echo":
        if rest and rest[0].text in {"-n", "-e", "-ne", "-en"}:
            rest = rest[1:]
        return joined(rest)
    command = _COMMANDS.get(name)
    if command is None or any(word.unknown for word in rest):
        return None
    text = command([word.text for word in rest])
    return None if text is None else Word(text)


def _basename(arguments: Sequence[str]) -> str | None:
    if len(arguments) not in {1, 2} or arguments[0].startswith("-"):
        return None
    name = posixpath.basename(arguments[0].rstrip("/"))
    return name.removesuffix(arguments[1]) if len(arguments) > 1 else name


def _dirname(arguments: Sequence[str]) -> str | None:
    if len(arguments) != 1 or arguments[0].startswith("-"):
        return None
    return posixpath.dirname(arguments[0].rstrip("/")) or "."


def _seq(arguments: Sequence[str]) -> str | None:
    try:
        numbers = [int(text) for text in arguments]
    except ValueError:
        return None
    if not 1 <= len(numbers) <= 3:  # noqa: PLR2004 (seq LAST, FIRST LAST, FIRST STEP LAST)
        return None
    first = numbers[0] if len(numbers) > 1 else 1
    step = numbers[1] if len(numbers) > 2 else 1  # noqa: PLR2004 (see above)
    if not step:
        return None
    return "\n".join(str(item) for item in range(first, numbers[-1] + (1 if step > 0 else -1), step)[:_MOST])


def _expr(arguments: Sequence[str]) -> str | None:
    try:
        one, sign, other = arguments
        first, second = int(one), int(other)
    except ValueError:
        return None
    if sign in {"+", "-", "*"}:
        return str({"+": first + second, "-": first - second, "*": first * second}[sign])
    if sign in {"/", "%"} and second > 0 and first >= 0:
        return str(first // second if sign == "/" else first % second)
    return None


_COMMANDS: Mapping[str, Callable[[Sequence[str]], str | None]] = {
    "basename": _basename,
    "dirname": _dirname,
    "seq": _seq,
    "expr": _expr,
}
