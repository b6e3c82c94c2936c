"""The commands of a shell script as words, with the variables that are set literally put in; nothing is executed.

What only a shell could tell (``$(...)``, globs, loop variables, what an ``if`` decides) is marked in the word, with the
reason, and never guessed. Here-documents are data, not commands; a function's commands count where it is called.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from advisor.inspection.shell_tokens import balanced, closing_quote, or_end, simple_commands, tokens

# Stands in a word for what is not known; no shell word can hold it.
HOLE = "\0"

_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_NAME = re.compile(r"\w+|[@*#?$!-]")
_BRACED = re.compile(r"\{(\w+|@|\*)(?:(:?[-=])([^{}]*))?\}")
_ARRAY = re.compile(r"\$\{(\w+)\[[@*]\]\}")
_OPENING = frozenset({"if", "for", "while", "until", "case", "select"})
_CLOSING = frozenset({"fi", "done", "esac"})
_BETWEEN = frozenset({"then", "do", "else", "elif", "{", "}", "!", "in"})
_DECLARING = frozenset({"export", "declare", "readonly", "local", "typeset"})
_DEEPEST_CALL = 5


@dataclass(frozen=True, slots=True)
class Word:
    """One word; ``text`` has a HOLE for each part that is not known, ``unknown`` says why."""

    text: str
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A simple command with the variables that it is run with; ``repeated`` where it stands in a loop."""

    words: tuple[Word, ...]
    variables: Mapping[str, str]
    repeated: bool


@dataclass
class _State:
    variables: dict[str, Word]
    arguments: tuple[Word, ...]
    functions: dict[str, list[list[str]]] = field(default_factory=dict)
    exported: set[str] = field(default_factory=set)
    arrays: dict[str, list[Word]] = field(default_factory=dict)
    blocks: list[str] = field(default_factory=list)


def commands(text: str, *, arguments: Sequence[str], variables: Mapping[str, str]) -> list[Command]:
    """The simple commands of a script in the order they stand.

    Args:
        text: the script.
        arguments: what it is given: ``$1``, ``$@``.
        variables: what the job's environment holds.
    """
    state = _State({name: Word(value) for name, value in variables.items()}, tuple(Word(item) for item in arguments))
    found: list[Command] = []
    _run(list(simple_commands(text)), state, found, 0)
    return found


def _run(lines: Sequence[list[str]], state: _State, found: list[Command], depth: int) -> None:
    position = 0
    while position < len(lines):
        words = list(lines[position])
        position += 1
        name = _function_name(words)
        if name is not None:
            body, position = _function_body(words, lines, position)
            state.functions[name] = body
            continue
        in_doubt = words[0] in {"&&", "||"}
        words = _without_keywords(words[1:] if in_doubt else words, state)
        if in_doubt:
            state.blocks.insert(0, "&&")
        if words:
            _simple([word for word in words if word not in {"(", ")"}], state, found, depth)
        if in_doubt:
            state.blocks.pop(0)


def _simple(raw: list[str], state: _State, found: list[Command], depth: int) -> None:
    here = dict(state.variables)
    own: dict[str, Word] = {}
    while raw and (match := _ASSIGNMENT.fullmatch(raw[0])) is not None:
        name, adds, value = match.groups()
        if value.startswith("("):
            _assign_array(name, value[1:-1], state, adds=bool(adds))
        own[name] = Word(HOLE, (f"${name}",)) if adds or value.startswith("(") else _joined(_expand(value, state))
        here.update(own)
        raw = raw[1:]
    if not raw:
        _assign(own, state)
        return
    if raw[0] in _DECLARING:
        declared = {}
        for word in raw[1:]:
            if (match := _ASSIGNMENT.fullmatch(word)) is not None:
                declared[match.group(1)] = _joined(_expand(match.group(3), state))
            state.exported.update([match.group(1) if match else word] if raw[0] == "export" else [])
        _assign(declared, state)
        return
    words = tuple(word for item in raw for word in _expand(item, state))
    if words and words[0].text in state.functions and depth < _DEEPEST_CALL:
        inner = _State(state.variables, words[1:], state.functions, state.exported, state.arrays, [*state.blocks])
        _run(state.functions[words[0].text], inner, found, depth + 1)
        return
    if words and words[0].text == "set" and len(words) > 1 and words[1].text == "--":
        state.arguments = words[2:]
    given = {name: word.text for name, word in {**state.variables, **own}.items() if not word.unknown}
    found.append(Command(words, given, any(block in {"for", "while", "until"} for block in state.blocks)))


def _assign(values: Mapping[str, Word], state: _State) -> None:
    """A variable that is set under a condition, to another value than before, is not known afterwards."""
    for name, word in values.items():
        before = state.variables.get(name)
        if state.blocks and (before is None or before != word):
            word = Word(HOLE, (f"${name}, which is set under a condition",))  # noqa: PLW2901 (the value that holds from here)
        state.variables[name] = word


def _assign_array(name: str, value: str, state: _State, *, adds: bool) -> None:
    """``NAME=(...)``; under a condition, its words are not known afterwards."""
    words = [word for raw in tokens(value) if raw != "\n" for word in _expand(raw, state)]
    state.arrays[name] = [*state.arrays.get(name, ()), *words] if adds else words
    if state.blocks:
        state.arrays[name] = [Word(HOLE, (f"${{{name}[@]}}, which is set under a condition",))]


def _without_keywords(words: list[str], state: _State) -> list[str]:
    while words:
        first = words[0]
        if first in _OPENING:
            state.blocks.append(first)
            if first in {"for", "select"} and len(words) > 1:
                state.variables[words[1]] = Word(HOLE, (f"${words[1]}, which differs in each round of a loop",))
                return []
            if first == "case":
                return []
        elif first in _CLOSING:
            if state.blocks:
                state.blocks.pop()
        elif first not in _BETWEEN:
            if state.blocks and state.blocks[-1] == "case" and len(words) > 1 and words[1] == ")":
                return words[2:]
            return words
        words = words[1:]
    return words


def _function_name(words: list[str]) -> str | None:
    if len(words) > 1 and words[0] == "function":
        return words[1].removesuffix("()")
    if words[1:3] == ["(", ")"]:
        return words[0]
    if words and words[0].endswith("()") and re.fullmatch(r"[\w-]+\(\)", words[0]):
        return words[0].removesuffix("()")
    return None


def _function_body(words: list[str], lines: Sequence[list[str]], position: int) -> tuple[list[list[str]], int]:
    """The lines of a function up to its closing brace, and where the script goes on."""
    depth, body = 0, []
    current = [word for word in words[1:] if word not in {"()", "(", ")"}]
    if words[0] == "function":
        current = current[1:]
    while True:
        depth += current.count("{") - current.count("}")
        inner = [word for word in current if word not in {"{", "}"}]
        if inner:
            body.append(inner)
        if (depth <= 0 and current) or position >= len(lines):
            return body, position
        current = list(lines[position])
        position += 1


def _joined(words: Sequence[Word]) -> Word:
    return Word(" ".join(word.text for word in words), tuple(reason for word in words for reason in word.unknown))


def _expand(raw: str, state: _State) -> list[Word]:
    """One raw word as the words that the shell makes of it."""
    if raw in {'"$@"', "$@", "$*", '"${@}"', "${@}"}:
        return list(state.arguments)
    array = _ARRAY.fullmatch(raw.removeprefix('"').removesuffix('"'))
    if array is not None and array.group(1) in state.arrays:
        return list(state.arrays[array.group(1)])
    text, unknown, unquoted = "", [], False
    for piece, quote in _pieces(raw):
        if quote == "'":
            text += piece
            continue
        if not quote and re.search(r"[*?]|.\[", piece) and "$" not in piece:
            unknown.append(f"'{piece}', which the shell expands")
        value, reasons = _variables_in(piece, state)
        unquoted = unquoted or (not quote and "$" in piece)
        text += value
        unknown += reasons
    if unquoted and not unknown:
        return [Word(part) for part in text.split()]
    return [Word(text, tuple(unknown))]


def _pieces(raw: str) -> Iterator[tuple[str, str]]:
    """The parts of a word with the quote that each stands in."""
    position, plain = 0, ""
    while position < len(raw):
        letter = raw[position]
        if letter == "\\":
            plain += raw[position + 1 : position + 2]
            position += 2
            continue
        if letter in "'\"":
            if plain:
                yield plain, ""
            plain = ""
            end = raw.find("'", position + 1) if letter == "'" else closing_quote(raw, position + 1) - 1
            end = len(raw) if end < 0 else end
            inner = raw[position + 1 : end]
            yield (inner if letter == "'" else re.sub(r'\\(["\\$`])', r"\1", inner)), letter
            position = end + 1
            continue
        end = (
            balanced(raw, position + 1, raw[position + 1], ")" if raw[position + 1] == "(" else "}")
            if raw[position : position + 2] in {"$(", "${"}
            else position + 1
        )
        plain += raw[position:end]
        position = end
    if plain:
        yield plain, ""


def _variables_in(piece: str, state: _State) -> tuple[str, list[str]]:
    text, position = "", 0
    unknown: list[str] = []
    while position < len(piece):
        letter = piece[position]
        if letter == "~" and position == 0 and piece[1:2] in {"", "/"}:
            word, position = state.variables.get("HOME", Word(HOLE, ("~",))), 1
        elif letter == "`" or piece.startswith("$(", position):
            end = (
                or_end(piece.find("`", position + 1), piece) + 1
                if letter == "`"
                else balanced(piece, position + 1, "(", ")")
            )
            word, position = _substituted(piece[position:end], state), end
        elif letter == "$" and (match := _BRACED.match(piece, position + 1)) is not None:
            word, position = _variable(match.group(1), match.group(2), match.group(3), state), match.end()
        elif letter == "$" and piece[position + 1 : position + 2] == "{":
            end = balanced(piece, position + 1, "{", "}")
            array = _ARRAY.fullmatch(piece[position:end])
            known = state.arrays.get(array.group(1)) if array is not None else None
            word, position = Word(HOLE, (piece[position:end],)) if known is None else _joined(known), end
        elif letter == "$" and (match := _NAME.match(piece, position + 1)) is not None:
            word, position = _variable(match.group(), None, None, state), match.end()
        else:
            word, position = Word(letter), position + 1
        text += word.text
        unknown += word.unknown
    return text, unknown


def _substituted(raw: str, state: _State) -> Word:
    """``$(pwd)`` is the folder; any other command would have to be run."""
    if raw in {"$(pwd)", "`pwd`"} and "PWD" in state.variables:
        return state.variables["PWD"]
    return Word(HOLE, (f"{raw}, which only running it would tell",))


def _variable(name: str, how: str | None, default: str | None, state: _State) -> Word:  # noqa: PLR0911 (one line for each kind)
    if name.isdecimal() and name != "0":
        position = int(name) - 1
        if position < len(state.arguments):
            return state.arguments[position]
        return Word("" if how is None else default or "")
    if name in {"@", "*"}:
        return _joined(state.arguments)
    word = state.variables.get(name)
    if word is not None and (word.text or how in {None, "-", "="}):
        return word
    if how is not None and not name.startswith("SLURM_"):
        return _joined(_expand(default or "", state)) if default else Word("")
    if name.startswith("SLURM_ARRAY"):
        return Word(HOLE, (f"${name}, which differs for each task of the array",))
    return Word(HOLE, (f"${name}, which is set nowhere that can be seen",))
