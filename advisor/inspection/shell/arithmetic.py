"""The value of ``$((...))``, ``((...))`` and ``let`` in 64-bit integers, as bash computes it."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from advisor.inspection.shell.grammar import text_of
from advisor.inspection.shell.state import State, Word, hole

if TYPE_CHECKING:
    from tree_sitter import Node

_BITS = 64
_MOST_POWER = 64


class NotKnown(Exception):
    """An expression has no value that can be told; the message says why."""


def _divided(one: int, other: int) -> int:
    if not other:
        raise NotKnown("a division by zero")
    return abs(one) // abs(other) * (1 if (one < 0) == (other < 0) else -1)


def _power(one: int, other: int) -> int:
    if not 0 <= other <= _MOST_POWER:
        raise NotKnown("a power that is too large")
    return int(one**other)


_BINARY: Mapping[str, Callable[[int, int], int]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": _divided, "**": _power,
    "%": lambda one, other: one - other * _divided(one, other),
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
    "&": operator.and_, "|": operator.or_, "^": operator.xor,
    "<<": lambda one, other: one << (other % _BITS), ">>": lambda one, other: one >> (other % _BITS),
}  # fmt: skip


def evaluate(node: Node, state: State, expand: Callable[[Node], Word]) -> int:
    """The value of an expression; what it assigns is assigned.

    Args:
        node: the expression, with or without its brackets.
        state: the shell's.
        expand: gives the text of an expansion in it.

    Raises:
        NotKnown: it has none that can be told. Variables that it would have changed are then not known either.
    """
    return _Expression(state, expand).value(node)


class _Expression:
    def __init__(self, state: State, expand: Callable[[Node], Word]) -> None:
        self.state = state
        self.expand = expand

    def value(self, node: Node) -> int:
        handler = {
            "arithmetic_expansion": self.last,
            "parenthesized_expression": self.last,
            "compound_statement": self.last,
            "binary_expression": self.binary,
            "ternary_expression": self.choice,
            "unary_expression": self.unary,
            "postfix_expression": self.unary,
            "variable_assignment": self.assignment,
            "variable_name": self.name,
            "word": self.name,
        }.get(node.type, self.expanded)
        return handler(node)

    def assignment(self, node: Node) -> int:
        return self.assigned(node.named_children[0], "=", node.named_children[-1])

    def name(self, node: Node) -> int:
        return self.named(text_of(node))

    def last(self, node: Node) -> int:
        """The value of the last of several expressions."""
        values = [self.value(item) for item in node.named_children]
        if not values:
            raise NotKnown(text_of(node))
        return values[-1]

    def choice(self, node: Node) -> int:
        test, yes, no = (node.child_by_field_name(name) for name in ("condition", "consequence", "alternative"))
        if test is None or yes is None or no is None:
            raise NotKnown(text_of(node))
        return self.value(yes if self.value(test) else no)

    def expanded(self, node: Node) -> int:
        word = self.expand(node)
        if word.unknown:
            raise NotKnown(word.unknown[0])
        return self.named(word.text)

    def named(self, text: str) -> int:
        """The value of a number or a variable's name."""
        text = text.strip()
        for _ in range(5):  # a variable may hold another's name
            if re.fullmatch(r"[-+]?0[xX][0-9a-fA-F]+|[-+]?\d+", text):
                octal = re.fullmatch(r"[-+]?0[0-7]+", text) is not None
                return int(text, 8 if octal else 16 if "x" in text.lower() else 10)
            if not re.fullmatch(r"[A-Za-z_]\w*", text):
                break
            word = self.state.variables.get(text, hole(f"${text}, which is set nowhere that can be seen"))
            if word is None:
                return 0
            if word.unknown:
                raise NotKnown(word.unknown[0])
            text = word.text.strip()
            if not text:
                return 0
        raise NotKnown(f"'{text}' is no number")

    def binary(self, node: Node) -> int:
        left, right, sign = (node.child_by_field_name(name) for name in ("left", "right", "operator"))
        if left is None or right is None or sign is None:
            raise NotKnown(text_of(node))
        sign_text = text_of(sign)
        if sign_text in {"&&", "||"}:
            first = bool(self.value(left))
            return int(first if first == (sign_text == "||") else bool(self.value(right)))
        if sign_text not in _BINARY and sign_text.endswith("="):
            return self.assigned(left, sign_text, right)
        if sign_text not in _BINARY:
            raise NotKnown(text_of(node))
        return int(_BINARY[sign_text](self.value(left), self.value(right)))

    def assigned(self, target: Node, sign: str, right: Node) -> int:
        name = text_of(target)
        try:
            value = self.value(right)
            if sign != "=":
                value = int(_BINARY[sign[:-1]](self.named(name), value))
        except NotKnown:
            self.state.assign(name, hole(f"${name}, which is computed from what is not known"))
            raise
        self.state.assign(name, Word(str(value)))
        return value

    def unary(self, node: Node) -> int:
        sign = next((child.type for child in node.children if not child.is_named), "")
        inner = node.named_children[0]
        if sign in {"++", "--"}:
            name = text_of(inner)
            try:
                before = self.named(name)
            except NotKnown:
                self.state.assign(name, hole(f"${name}, which is computed from what is not known"))
                raise
            after = before + (1 if sign == "++" else -1)
            self.state.assign(name, Word(str(after)))
            return before if node.type == "postfix_expression" else after
        value = self.value(inner)
        return {"-": -value, "+": value, "!": int(not value), "~": ~value}.get(sign, value)
