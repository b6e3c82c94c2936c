"""Expands the words of a command as bash does, without running anything: quotes, parameters, arithmetic, braces."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.inspection.shell.arithmetic import NotKnown, evaluate
from advisor.inspection.shell.braces import brace_expanded
from advisor.inspection.shell.grammar import parse, parts, text_of
from advisor.inspection.shell.parameters import changed, lookup
from advisor.inspection.shell.printed import printed
from advisor.inspection.shell.state import HOLE, State, Word, hole, joined, literal_text

if TYPE_CHECKING:
    from tree_sitter import Node

_ANSI = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "e": "\x1b", "E": "\x1b"}
_LISTS = frozenset({"@", "*"})
_TESTED = {":-": "-", "-": "-", ":=": "=", "=": "=", ":+": "+", "+": "+", ":?": "?", "?": "?"}


@dataclass(frozen=True, slots=True)
class _Piece:
    """A part of a word. ``is_split`` where the shell splits it at blanks; ``ends`` where a new word begins after it."""

    word: Word
    is_split: bool = False
    ends: bool = False


def expand(node: Node, state: State) -> list[Word]:
    """The words that one word of the script becomes."""
    if node.type in {"word", "concatenation", "brace_expression"} and (texts := brace_expanded(text_of(node))):
        return [Word(text) for text in texts]
    return _split(list(_pieces(node, state, quoted=False)))


def expand_all(nodes: Sequence[Node], state: State) -> list[Word]:
    """The words of a command."""
    return [word for node in nodes for word in expand(node, state)]


def expand_one(node: Node, state: State) -> Word:
    """A word where the shell does not split and expands no file names: assignments, ``case``, ``[[``."""
    return joined([piece.word for piece in _pieces(node, state, quoted=False, globs=False)], "")


def text_word(node: Node, state: State) -> Word:
    """The text of a here-document."""
    return joined([piece.word for piece in _inside(node, state)], "")


def number(node: Node, state: State) -> int:
    """The value of an arithmetic expression; assignments in it are carried out.

    Raises:
        NotKnown: it has none that can be told.
    """
    return evaluate(node, state, lambda inner: expand_one(inner, state))


def number_of_text(text: str, state: State) -> int:
    """The value of an expression that is given as text (``let``, indices).

    Raises:
        NotKnown: it has none that can be told.
    """
    for node in parse(f"(( {text} ))").children:
        if node.type == "compound_statement" and len(node.named_children) == 1:
            return number(node.named_children[0], state)
    raise NotKnown(text)


def _split(pieces: Sequence[_Piece]) -> list[Word]:
    words: list[Word] = []
    current: Word | None = None
    for piece in pieces:
        if piece.is_split and piece.word.text.strip():
            fields, text = _fields(piece.word), piece.word.text
            if current is not None and text[:1].isspace():
                words.append(current)
                current = None
            for position, item in enumerate(fields):
                if position and current is not None:
                    words.append(current)
                    current = None
                current = item if current is None else current + item
            if fields and text[-1:].isspace() and current is not None:
                words.append(current)
                current = None
        elif not piece.is_split:
            current = piece.word if current is None else current + piece.word
        if piece.ends and current is not None:
            words.append(current)
            current = None
    return words if current is None else [*words, current]


def _fields(word: Word) -> list[Word]:
    """A value split at its blanks; each reason goes to the field that has the part it is about."""
    reasons = list(word.unknown)
    matched = len(reasons) == word.text.count(HOLE)
    found = []
    for text in word.text.split():
        count = text.count(HOLE)
        taken = tuple(reasons[:count]) if matched else word.unknown if count or HOLE not in word.text else ()
        del reasons[: count if matched else 0]
        found.append(Word(text, taken))
    return found


def _pieces(  # noqa: C901 (one branch for each kind of node)
    node: Node, state: State, *, quoted: bool, globs: bool = True
) -> Iterator[_Piece]:
    kind = node.type
    if kind in {"string", "translated_string"}:
        yield from _inside(node, state) if text_of(node) != '""' else [_Piece(Word(""))]
    elif kind == "raw_string":
        yield _Piece(literal_text(text_of(node)[1:-1]))
    elif kind == "ansi_c_string":
        yield _Piece(Word(_ansi(text_of(node)[2:-1])))
    elif kind in {"simple_expansion", "expansion"}:
        yield from _parameter(node, state, quoted=quoted)
    elif kind == "command_substitution":
        yield _Piece(_substituted(node, state), is_split=not quoted)
    elif kind == "arithmetic_expansion":
        yield _Piece(_arithmetic(node, state))
    elif kind == "process_substitution":
        yield _Piece(hole(f"{text_of(node)}, which is a file that only the shell makes"))
    elif kind in {"concatenation", "command_name"}:
        for position, part in enumerate(parts(node)):
            if isinstance(part, str):
                yield _literal(part, state, first=not position, globs=globs)
            elif part.is_named or not part.child_count:
                yield from _pieces(part, state, quoted=quoted, globs=globs)
    else:
        yield _literal(text_of(node), state, first=True, globs=globs)


def _inside(node: Node, state: State) -> Iterator[_Piece]:
    """What stands between double quotes or in a here-document."""
    for part in parts(node):
        if isinstance(part, str):
            yield _Piece(Word(_unescaped(part)))
        elif part.type in {"string_content", "heredoc_content"}:
            yield _Piece(Word(_unescaped(text_of(part))))
        elif part.type in {"simple_expansion", "expansion", "command_substitution", "arithmetic_expansion"}:
            yield from _pieces(part, state, quoted=True)
        elif part.type not in {'"', '$"'}:
            yield _Piece(Word(text_of(part)))


def _unescaped(text: str) -> str:
    return re.sub(r'\\(["\\$`\n])', lambda match: "" if match.group(1) == "\n" else match.group(1), text)


def _ansi(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        code = match.group(1)
        if code[0] == "x" and len(code) > 1:
            return chr(int(code[1:], 16))
        return chr(int(code, 8)) if code[0] in "01234567" else _ANSI.get(code, code)

    return re.sub(r"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", one, text, flags=re.DOTALL)


def _literal(text: str, state: State, *, first: bool, globs: bool) -> _Piece:
    """Text outside of quotes."""
    home = Word("")
    if first and re.match(r"~(/|$)", text):
        home, text = state.variables.get("HOME") or hole("~, which is a folder that is not known"), text[1:]
    plain = re.sub(r"\\(.)", lambda match: "" if match.group(1) == "\n" else match.group(1), text, flags=re.DOTALL)
    is_pattern = globs and re.search(r"(?<!\\)[*?]|(?<!\\)\[.+\]", text) is not None
    return _Piece(home + Word(plain, (f"'{text}', which the shell expands",) if is_pattern else ()))


def _arithmetic(node: Node, state: State) -> Word:
    try:
        return Word(str(evaluate(node, state, lambda inner: expand_one(inner, state))))
    except NotKnown as exc:
        return hole(f"{text_of(node)} ({exc})")


def _substituted(node: Node, state: State) -> Word:
    """What ``$(...)`` prints, for the few commands that need no running."""
    commands = [child for child in node.named_children if child.type != "comment"]
    if len(commands) == 1 and commands[0].type == "command":
        own = [child for child in commands[0].named_children if child.type in {"variable_assignment", "file_redirect"}]
        words = expand_all([child for child in commands[0].named_children if child not in own], state)
        text = printed(words, state) if not own else None
        if text is not None:
            return text
    return hole(f"{text_of(node)}, which only running it would tell")


def _parameter(node: Node, state: State, *, quoted: bool) -> Iterator[_Piece]:
    children = [child for child in node.children if child.type not in {"$", "${", "}"}]
    prefix = ""
    if len(children) > 1 and children[0].type in {"!", "#"}:
        prefix, children = children[0].type, children[1:]
    target, rest = children[0], children[1:]
    values = _values(target, state, keys=prefix == "!")
    is_list = _is_list(target)
    if prefix == "#":
        yield _Piece(_length(values, target, is_list=is_list))
        return
    if prefix == "!" and not is_list:
        values = _indirect(values, state)
    if rest and values is not None:
        values = _operated(values, rest, target, state, is_list=is_list)
        if values is None:
            yield from _instead(target, rest, state, quoted=quoted)
            return
    if values is None:
        has_default = bool(rest) and _TESTED.get(rest[0].type) in {"-", "="}
        yield from (
            _instead(target, rest, state, quoted=quoted) if has_default else [_Piece(Word(""), is_split=not quoted)]
        )
        return
    if is_list and quoted and text_of(target).endswith(("*", "*]")):
        yield _Piece(joined(values))
        return
    for position, value in enumerate(values):
        yield _Piece(value, is_split=not quoted, ends=is_list and position + 1 < len(values))


def _is_list(target: Node) -> bool:
    if target.type == "subscript":
        index = target.child_by_field_name("index")
        return index is not None and text_of(index) in _LISTS
    return text_of(target) in _LISTS


def _values(target: Node, state: State, *, keys: bool) -> list[Word] | None:
    """The values of a parameter; None where it is known to be unset."""
    if target.type == "subscript":
        return _element(target, state, keys=keys)
    name = text_of(target)
    if name in _LISTS:
        return list(state.arguments)
    if name in state.arrays:
        return list(state.arrays[name].values())[:1] or None
    word = lookup(name, state)
    return None if word is None else [word]


def _element(  # noqa: PLR0911 (one return for each thing that is not known)
    target: Node, state: State, *, keys: bool
) -> list[Word] | None:
    name_node, index = target.child_by_field_name("name"), target.child_by_field_name("index")
    name = text_of(name_node) if name_node is not None else ""
    items = state.arrays.get(name)
    if items is None:
        return [hole(f"{text_of(target)}, which is set nowhere that can be seen")]
    if index is None or text_of(index) in _LISTS:
        return [Word(key) for key in items] if keys else list(items.values())
    key = expand_one(index, state)
    if len(items) == 1 and items.get("0", key).text == HOLE:  # nothing is known of the array
        return [items["0"]]
    if key.unknown:
        return [hole("; ".join(key.unknown))]
    if key.text in items:
        return [items[key.text]]
    try:
        place = number_of_text(key.text, state)
    except NotKnown as exc:
        return [hole(f"${{{name}[{key.text}]}} ({exc})")]
    ordered = list(items.values())
    return [items.get(str(place), ordered[place])] if -len(ordered) <= place < len(ordered) else None


def _length(values: list[Word] | None, target: Node, *, is_list: bool) -> Word:
    if values is None:
        return Word("0")
    if any(value.unknown for value in values):
        return hole(f"the length of {text_of(target)}")
    return Word(str(len(values) if is_list else len(values[0].text)))


def _indirect(values: list[Word] | None, state: State) -> list[Word] | None:
    if values is None or values[0].unknown:
        return values
    word = lookup(values[0].text, state)
    return None if word is None else [word]


def _operated(
    values: list[Word], rest: Sequence[Node], target: Node, state: State, *, is_list: bool
) -> list[Word] | None:
    """A parameter's values after its operator; None where the operator's own word stands in for them."""
    operator = rest[0].type
    if operator in _TESTED:
        kind = _TESTED[operator]
        is_missing = operator.startswith(":") and not any(value.text for value in values)
        is_unset = any(_is_unset(value) for value in values) and not text_of(target).startswith("SLURM_")
        if kind == "+":
            if is_missing or is_unset:
                return [Word("")]
            return values if any(value.text == HOLE for value in values) else None
        return None if (is_missing or is_unset) and kind in "-=" else values
    operands = [expand_one(node, state) for node in rest if node.is_named]
    if operator == ":" and is_list:
        return _sliced(values, operands, target, state)
    return [changed(value, [node.type for node in rest if not node.is_named], operands) for value in values]


def _is_unset(word: Word) -> bool:
    return word.text == HOLE and any("set nowhere" in reason for reason in word.unknown)


def _sliced(values: list[Word], operands: Sequence[Word], target: Node, state: State) -> list[Word]:
    try:
        ends = [number_of_text(item.text, state) for item in operands]
    except NotKnown as exc:
        return [hole(str(exc))]
    first = ends[0] - (text_of(target) in _LISTS and ends[0] > 0)
    return values[first:] if len(ends) == 1 else values[first : first + ends[1]]


def _instead(target: Node, rest: Sequence[Node], state: State, *, quoted: bool) -> list[_Piece]:
    """The operator's own word, which may be several words; ``:=`` assigns it."""
    found = []
    for node in rest[1:]:
        is_plain = node.type not in {"string", "raw_string"}
        found += [
            _Piece(piece.word, is_split=piece.is_split or (is_plain and not quoted), ends=piece.ends)
            for piece in _pieces(node, state, quoted=quoted)
        ]
    if _TESTED[rest[0].type] == "=":
        state.assign(text_of(target), joined([piece.word for piece in found], ""))
    return found
