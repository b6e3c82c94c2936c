"""A shell script cut into words and operators, as written, quotes and all: pure text, nothing is expanded."""

from __future__ import annotations

import re
from collections.abc import Iterator

_OPERATORS = ("&&", "||", ";;", "|&", "&", "|", ";", "\n", "(", ")")
_REDIRECTION = re.compile(r"(?:\d*|&)(?:>>?\|?|<<<|<)(?:&[\d-]+)?")
_HERE_DOCUMENT = re.compile(r"\d*<<(-?)\s*(['\"]?)(\w+)\2")
_MOST_WORDS = 20_000


def simple_commands(text: str) -> Iterator[list[str]]:
    """Raw words of each simple command; redirections are left out, and so is what a here-document holds.

    A command that another's success or failure decides on begins with the word ``&&`` or ``||``.
    """
    current: list[str] = []
    skip_next = False
    for token in tokens(text):
        if token in _OPERATORS and token not in {"(", ")"}:
            if current and current not in (["&&"], ["||"]):
                yield current
            elif current and token.isspace():
                continue  # the line goes on after a trailing && or ||
            current, skip_next = [token] if token in {"&&", "||"} else [], False
        elif skip_next:
            skip_next = False
        elif (
            (match := _REDIRECTION.match(token)) is not None
            and (match.group() or token).startswith(("<", ">", "&", *"0123456789"))
            and match.end() > 0
            and any(sign in match.group() for sign in "<>")
        ):
            skip_next = match.end() == len(token) and "&" not in match.group()[1:]
        else:
            current.append(token)
    if current:
        yield current


def tokens(text: str) -> Iterator[str]:
    """Words as written, quotes and all, and operators."""
    position, count = 0, 0
    waiting: list[tuple[str, bool]] = []
    while position < len(text) and count < _MOST_WORDS:
        letter = text[position]
        if letter == "\\" and text[position : position + 2] == "\\\n":
            position += 2
        elif letter == "\n":
            yield "\n"
            position += 1
            for ending, strips in waiting:
                position = _after_here_document(text, position, ending, strips=strips)
            waiting = []
        elif letter in " \t":
            position += 1
        elif letter == "#":
            position = or_end(text.find("\n", position), text)
        elif (match := _HERE_DOCUMENT.match(text, position)) is not None:
            waiting.append((match.group(3), bool(match.group(1))))
            position = match.end()
        elif (
            operator := next((sign for sign in _OPERATORS if text.startswith(sign, position)), None)
        ) is not None and not (operator == "&" and text[position + 1 : position + 2] == ">"):
            yield operator
            position += len(operator)
        else:
            end = _word_end(text, position)
            count += 1
            yield text[position:end]
            position = end


def _after_here_document(text: str, position: int, ending: str, *, strips: bool) -> int:
    while position < len(text):
        end = or_end(text.find("\n", position), text)
        line = text[position:end]
        position = min(end + 1, len(text))
        if (line.lstrip("\t") if strips else line) == ending:
            break
    return position


def or_end(position: int, text: str) -> int:
    """A position that ``find`` gave, or the end of the text where it found none."""
    return len(text) if position < 0 else position


def _word_end(text: str, position: int) -> int:  # noqa: C901 (one line for each way of quoting)
    """Where a word ends: at a blank or an operator outside of quotes, ``$(...)`` and ``${...}``."""
    while position < len(text):
        letter = text[position]
        if letter == "\\":
            position += 2
        elif letter == "'":
            position = or_end(text.find("'", position + 1), text) + 1
        elif letter == '"':
            position = closing_quote(text, position + 1)
        elif letter == "`":
            position = or_end(text.find("`", position + 1), text) + 1
        elif text.startswith("$(", position):
            position = balanced(text, position + 1, "(", ")")
        elif text.startswith("${", position):
            position = balanced(text, position + 1, "{", "}")
        elif text.startswith("()", position):
            position += 2
        elif letter == "(" and text[position - 1 : position] == "=":
            position = balanced(text, position, "(", ")")
        elif letter in " \t\n;|()" or (
            letter == "&" and text[position - 1 : position] not in "<>" and text[position + 1 : position + 2] != ">"
        ):
            break
        else:
            position += 1
    return min(position, len(text))


def closing_quote(text: str, position: int) -> int:
    """Where a word in double quotes ends that begins here, after its closing quote."""
    while position < len(text) and text[position] != '"':
        if text[position] == "\\":
            position += 1
        elif text.startswith("$(", position):
            position = balanced(text, position + 1, "(", ")") - 1
        position += 1
    return position + 1


def balanced(text: str, position: int, opening: str, closing: str) -> int:
    """Where brackets end that open here, after the closing one."""
    depth = 0
    while position < len(text):
        depth += (text[position] == opening) - (text[position] == closing)
        position += 1
        if depth == 0:
            break
    return position
