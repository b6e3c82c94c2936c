"""Parses bash with tree-sitter's grammar. This is the only place that imports tree-sitter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Node

# A batch script is written by hand; a longer text is data or was generated.
_MOST_BYTES = 1024 * 1024


class ShellNotReadable(Exception):
    """A shell script cannot be read here; the message says why."""


def parse(text: str) -> Node:
    """The root node of a script's syntax tree. Parts that are no valid bash stand in it as ERROR nodes.

    Raises:
        ShellNotReadable: the parser is not installed, or the script is too long.
    """
    try:
        import tree_sitter_bash  # noqa: PLC0415 (compiled: a platform may have no wheel of it, and then only this fails)
        from tree_sitter import Language, Parser  # noqa: PLC0415 (see above)
    except ImportError as exc:
        raise ShellNotReadable(
            "batch scripts are not read: tree-sitter and tree-sitter-bash are not installed"
        ) from exc
    content = text.encode("utf-8", errors="surrogateescape")
    if len(content) > _MOST_BYTES:
        raise ShellNotReadable("the batch script is larger than 1 MiB and was not read")
    return Parser(Language(tree_sitter_bash.language())).parse(content).root_node


def text_of(node: Node) -> str:
    """A node's text as it stands in the script."""
    return (node.text or b"").decode("utf-8", errors="surrogateescape")


def parts(node: Node) -> Iterator[Node | str]:
    """A node's children, and as strings the text between them, which the grammar gives no node."""
    whole, start = node.text or b"", node.start_byte
    position = start
    for child in node.children:
        if child.start_byte > position:
            yield whole[position - start : child.start_byte - start].decode("utf-8", errors="surrogateescape")
        yield child
        position = child.end_byte
    if node.end_byte > position:
        yield whole[position - start :].decode("utf-8", errors="surrogateescape")


def line_of(node: Node) -> int:
    """The number of the line that a node begins in, from 1."""
    return int(node.start_point[0]) + 1
