"""Whether ``[ ... ]``, ``test``, ``[[ ... ]]`` and ``case`` patterns hold; None where that cannot be told.

Tests of files are never told: a file may come or go before the job starts.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from advisor.inspection.shell.arithmetic import NotKnown
from advisor.inspection.shell.expansion import expand, expand_one, number_of_text
from advisor.inspection.shell.grammar import text_of
from advisor.inspection.shell.state import State, Word

if TYPE_CHECKING:
    from tree_sitter import Node

_NUMBERS = {"-eq": "==", "-ne": "!=", "-lt": "<", "-le": "<=", "-gt": ">", "-ge": ">="}
_BINARY = frozenset({*_NUMBERS, "=", "==", "!=", "<", ">", "-nt", "-ot", "-ef"})
_LEAVES = frozenset(
    {"word", "string", "raw_string", "ansi_c_string", "number", "simple_expansion", "expansion", "concatenation",
     "command_substitution", "arithmetic_expansion", "test_operator", "extglob_pattern", "regex", "variable_name",
     "translated_string", "process_substitution"}
)  # fmt: skip


def test_of(node: Node, state: State) -> bool | None:
    """Whether a ``[ ... ]`` or ``[[ ... ]]`` holds."""
    if node.children[0].type == "[[":
        inner = node.named_children
        return _extended(inner[0], state) if inner else False
    return test_of_words([word for leaf in _leaves(node) for word in _expanded(leaf, state)], state)


def test_of_words(words: Sequence[Word], state: State) -> bool | None:
    """Whether ``test`` with these arguments holds."""
    return _Words(list(words), state).either()


def matches(pattern: Node, value: Word, state: State) -> bool | None:
    """Whether a ``case`` pattern matches."""
    wanted = expand_one(pattern, state)
    if wanted.unknown or value.unknown:
        return True if text_of(pattern) == "*" else None
    return _fits(value.text, wanted.text, literal=pattern.type in {"string", "raw_string"})


def _fits(text: str, pattern: str, *, literal: bool) -> bool:
    return text == pattern if literal else fnmatch.fnmatchcase(text, pattern)


def _leaves(node: Node) -> list[Node]:
    """The words of ``[ ... ]`` in order: the grammar reads operators into them that are not there."""
    found: list[Node] = []
    for child in node.children[1:-1] if node.type == "test_command" else node.children:
        if child.type in _LEAVES or not child.child_count:
            found.append(child)
        else:
            found += _leaves(child)
    return found


def _expanded(leaf: Node, state: State) -> list[Word]:
    return [Word(text_of(leaf))] if leaf.type == "test_operator" or not leaf.is_named else expand(leaf, state)


class _Words:
    """``test``'s own grammar over words: ``!``, ``-a``, ``-o``, brackets."""

    def __init__(self, words: list[Word], state: State) -> None:
        self.words = words
        self.state = state

    def either(self) -> bool | None:
        found = self.both()
        while self.words and self.words[0].text == "-o":
            self.words.pop(0)
            found = _or(found, self.both())
        return found

    def both(self) -> bool | None:
        found = self.one()
        while self.words and self.words[0].text == "-a":
            self.words.pop(0)
            found = _and(found, self.one())
        return found

    def one(self) -> bool | None:
        if not self.words:
            return False
        first = self.words.pop(0)
        if len(self.words) > 1 and self.words[0].text in _BINARY:
            sign, other = self.words.pop(0), self.words.pop(0)
            return _compared(first, sign.text, other, self.state, literal=True)
        if first.text == "!" and self.words:
            return _not(self.one())
        if first.text in {"(", "\\("} and self.words:
            found = self.either()
            if self.words:
                self.words.pop(0)
            return found
        if re.fullmatch(r"-[a-zA-Z]", first.text) and self.words and self.words[0].text not in {"-a", "-o"}:
            return _unary(first.text, self.words.pop(0), self.state)
        return None if first.unknown else bool(first.text)


def _extended(node: Node, state: State) -> bool | None:  # noqa: PLR0911 (one return for each kind of node)
    """``[[ ... ]]``."""
    if node.type == "parenthesized_expression":
        return _extended(node.named_children[0], state)
    if node.type == "unary_expression":
        sign = text_of(node.children[0])
        inner = node.named_children[-1]
        return _not(_extended(inner, state)) if sign == "!" else _unary(sign, expand_one(inner, state), state)
    if node.type == "binary_expression":
        left, right, sign_node = (node.child_by_field_name(name) for name in ("left", "right", "operator"))
        if left is None or right is None or sign_node is None:
            return None
        sign = text_of(sign_node)
        if sign in {"&&", "||"}:
            return (_and if sign == "&&" else _or)(_extended(left, state), _extended(right, state))
        literal = right.type in {"string", "raw_string"}
        if left.type == "unary_expression" and text_of(left.children[0]) == "!":
            negated = expand_one(left.named_children[-1], state)
            return _not(_compared(negated, sign, expand_one(right, state), state, literal=literal))
        return _compared(expand_one(left, state), sign, expand_one(right, state), state, literal=literal)
    if node.type == "negated_command":
        return _not(_extended(node.named_children[0], state))
    word = expand_one(node, state)
    return None if word.unknown else bool(word.text)


def _unary(sign: str, word: Word, state: State) -> bool | None:
    if sign == "-v":
        known = state.variables.get(word.text)
        return (
            True if known is not None or word.text in state.arrays else False if word.text in state.variables else None
        )
    if sign in {"-z", "-n"}:
        if word.unknown and all("which differs for each job" in reason for reason in word.unknown):
            return sign == "-n"
        # An unset variable counts as empty, as for ``${NAME:-default}``.
        if word.unknown and not all("set nowhere" in reason and "$SLURM_" not in reason for reason in word.unknown):
            return None
        is_empty = not word.text.replace("\0", "")
        return is_empty == (sign == "-z")
    return None


def _compared(one: Word, sign: str, other: Word, state: State, *, literal: bool) -> bool | None:
    if one.unknown or other.unknown:
        return None
    if sign in _NUMBERS:
        try:
            return bool(number_of_text(f"({one.text or 0}) {_NUMBERS[sign]} ({other.text or 0})", state))
        except NotKnown:
            return None
    if sign in {"=", "==", "!="}:
        return _fits(one.text, other.text, literal=literal) == (sign != "!=")
    try:
        return re.search(other.text, one.text) is not None if sign == "=~" else None
    except re.error:
        return None


def _not(value: bool | None) -> bool | None:
    return None if value is None else not value


def _and(one: bool | None, other: bool | None) -> bool | None:
    if one is False or other is False:
        return False
    return None if one is None or other is None else True


def _or(one: bool | None, other: bool | None) -> bool | None:
    return _not(_and(_not(one), _not(other)))
