"""Assignments: ``NAME=value``, ``NAME+=value``, ``NAME=(...)``, ``NAME[i]=value``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from advisor.inspection.shell.expansion import expand, expand_one
from advisor.inspection.shell.grammar import text_of
from advisor.inspection.shell.state import State, Word, hole

if TYPE_CHECKING:
    from tree_sitter import Node


def assign(node: Node, state: State, *, local: dict[str, Word] | None = None) -> str:
    """Carry out an assignment, into ``local`` where it stands in front of a command; returns the variable's name."""
    target, value = node.child_by_field_name("name"), node.child_by_field_name("value")
    adds = any(child.type == "+=" for child in node.children)
    if target is None:
        return ""
    if target.type == "subscript":
        return _assign_item(target, value, state)
    name = text_of(target)
    if value is not None and value.type == "array":
        _assign_array(name, value, state, adds=adds)
        return name
    word = Word("") if value is None else expand_one(value, state)
    if adds:
        before = state.variables.get(name, hole(f"${name}, which is set nowhere that can be seen"))
        word = word if before is None else before + word
    if local is not None:
        local[name] = word
    else:
        state.assign(name, word)
    return name


def _assign_item(target: Node, value: Node | None, state: State) -> str:
    name_node, index = target.child_by_field_name("name"), target.child_by_field_name("index")
    name = text_of(name_node) if name_node is not None else ""
    key = expand_one(index, state) if index is not None else Word("0")
    if key.unknown:
        state.arrays[name] = {"0": hole(f"${{{name}[@]}}, of which an item is set that is not known")}
    else:
        state.arrays.setdefault(name, {})[key.text] = expand_one(value, state) if value is not None else Word("")
    return name


def _assign_array(name: str, value: Node, state: State, *, adds: bool) -> None:
    items = dict(state.arrays.get(name, {})) if adds else {}
    for child in value.named_children:
        text = text_of(child)
        if text.startswith("[") and "]=" in text:
            whole = expand_one(child, state)
            key, _, rest = whole.text[1:].partition("]=")
            items[key] = Word(rest, whole.unknown)
        elif child.type != "comment":
            for word in expand(child, state):
                items[str(len(items))] = word
    state.variables.pop(name, None)
    state.arrays[name] = items
