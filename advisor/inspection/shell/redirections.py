"""Redirections: the text that a command reads, the file that it writes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from advisor.inspection.shell.expansion import expand_one, text_word
from advisor.inspection.shell.grammar import text_of
from advisor.inspection.shell.state import State, Word

if TYPE_CHECKING:
    from tree_sitter import Node


@dataclass(frozen=True, slots=True)
class Redirections:
    """``stdin`` is the text of a here-document or string, ``target`` the file that is written, None for neither.

    ``following`` are the statements after a here-document's beginning, which the grammar puts inside of it.
    """

    stdin: Word | None
    target: Word | None
    following: tuple[Node, ...]


def redirections(node: Node, state: State) -> Redirections:
    """The redirections of a statement."""
    stdin: Word | None = None
    target: Word | None = None
    following: list[Node] = []
    for redirect in node.children_by_field_name("redirect"):
        inner = redirect.named_children if redirect.type == "heredoc_redirect" else [redirect]
        if redirect.type == "heredoc_redirect":
            stdin = _here_document(redirect, state)
            following += [child for child in inner if child.type in {"pipeline", "list", "command"}]
        elif redirect.type == "herestring_redirect":
            stdin = expand_one(redirect.named_children[-1], state)
        target = next((_target(child, state) for child in inner if _writes(child)), target)
    return Redirections(stdin, target, tuple(following))


def _here_document(redirect: Node, state: State) -> Word:
    start = next((child for child in redirect.named_children if child.type == "heredoc_start"), None)
    body = next((child for child in redirect.named_children if child.type == "heredoc_body"), None)
    if body is None:
        return Word("")
    is_literal = start is not None and any(quote in text_of(start) for quote in "'\"\\")
    word = Word(text_of(body)) if is_literal else text_word(body, state)
    if redirect.children[0].type == "<<-":
        word = Word("\n".join(line.lstrip("\t") for line in word.text.split("\n")), word.unknown)
    return word


def _writes(redirect: Node) -> bool:
    return redirect.type == "file_redirect" and any(child.type in {">", ">>", ">|"} for child in redirect.children)


def _target(redirect: Node, state: State) -> Word:
    node = redirect.child_by_field_name("destination")
    return expand_one(node, state) if node is not None else Word("")
