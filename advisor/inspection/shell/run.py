"""Follows a shell script from command to command without running any: what is started, and with which values."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from advisor.inspection.shell.assignments import assign
from advisor.inspection.shell.builtins import activate, is_followed, note_conda, read_text, run_builtin
from advisor.inspection.shell.conditions import test_of_words
from advisor.inspection.shell.expansion import expand, expand_one
from advisor.inspection.shell.grammar import ShellNotReadable, line_of, parse, text_of
from advisor.inspection.shell.outcome import DONE, Command, Flow, Frame, Outcome, TooLong
from advisor.inspection.shell.redirections import redirections
from advisor.inspection.shell.state import HOLE, State, Word, joined, merge
from advisor.inspection.shell.walk import Walk

if TYPE_CHECKING:
    from tree_sitter import Node

_DEEPEST_CALL = 8
_LEAVING = {"exit": Flow.EXIT, "return": Flow.RETURN, "break": Flow.BREAK, "continue": Flow.CONTINUE}
# Commands that are asked something: whether they succeed is what the script wants to know.
_QUESTIONS = frozenset(
    {"grep", "egrep", "fgrep", "which", "type", "command", "hash", "diff", "cmp", "pgrep", "ping", "kill", "mountpoint",
     "nvidia-smi", "rocm-smi", "find", "ls", "stat", "nc", "curl", "squeue", "sacct", "scontrol", "git", "pip"}
)  # fmt: skip
# Set-up of the system and of conda: it defines functions that would hide the commands of the same name.
_SYSTEM_FOLDERS = ("/etc/", "/usr/", "/opt/")
_SYSTEM_FILES = frozenset({"conda.sh", "mamba.sh", "modules.sh", "init.sh", "bash", "profile"})


def commands(text: str, state: State) -> list[Command]:
    """The commands that a script starts, in order; ``state`` is the shell's at its start and is changed.

    Raises:
        ShellNotReadable: there is no parser here, or the script is too long or nested too deep.
    """
    walk = Walk(state, _simple)
    try:
        walk.sequence(parse(text).children)
    except RecursionError as exc:
        raise ShellNotReadable("the batch script is nested too deep to be read") from exc
    except TooLong:
        pass
    return walk.found


def _simple(walk: Walk, node: Node) -> Outcome:
    """A statement that is no control structure; of one that is not known here, nothing is known."""
    handler = _HANDLERS.get(node.type)
    return Outcome(succeeds=None) if handler is None else handler(walk, node)


def _assignment(walk: Walk, node: Node) -> Outcome:
    for child in node.named_children if node.type == "variable_assignments" else [node]:
        assign(child, walk.state)
    return DONE


def _declaration(walk: Walk, node: Node) -> Outcome:
    is_export = node.children[0].type == "export" or any(text_of(child) == "-x" for child in node.named_children)
    is_local = node.children[0].type in {"local", "declare", "typeset"}
    for child in node.named_children:
        if is_local and child.type in {"variable_assignment", "variable_name"}:
            _hide(walk, child)
        name = assign(child, walk.state) if child.type == "variable_assignment" else text_of(child)
        if is_export and not name.startswith("-"):
            walk.state.exported.add(name)
    return DONE


def _hide(walk: Walk, node: Node) -> None:
    """Remember what a function's local variable hides, so that it is there again after the function."""
    target = node.child_by_field_name("name") if node.type == "variable_assignment" else node
    frame = next((frame for frame in reversed(walk.frames) if frame.kind is Flow.RETURN), None)
    name = text_of(target) if target is not None else ""
    if frame is not None and name in walk.state.variables:
        frame.before.setdefault(name, walk.state.variables[name])


def _unset(walk: Walk, node: Node) -> Outcome:
    for child in node.named_children:
        name = text_of(child)
        if not name.startswith("-"):
            walk.state.assign(name, None)
            walk.state.functions.pop(name, None)
    return DONE


def _redirected(walk: Walk, node: Node) -> Outcome:
    body = node.child_by_field_name("body")
    if body is None:
        return DONE
    found = redirections(node, walk.state)
    outcome = _command(walk, body, found.stdin) if body.type == "command" else walk.statement(body)
    if found.target is not None and found.stdin is not None and text_of(body) in {"cat", "tee"}:
        walk.state.files[found.target.text.removeprefix("./")] = found.stdin
    for child in found.following:
        walk.sequence([child])
    return outcome


def _command(walk: Walk, node: Node, stdin: Word | None = None) -> Outcome:
    own: dict[str, Word] = {}
    words: list[Word] = []
    for child in node.children:
        if child.type == "variable_assignment":
            assign(child, walk.state, local=own)
        elif child.type == "herestring_redirect":
            stdin = expand_one(child.named_children[-1], walk.state)
        elif child.is_named and child.type != "file_redirect":
            words += expand(child, walk.state)
    return _start(walk, tuple(words), own, stdin, node) if words else DONE


def _start(walk: Walk, words: tuple[Word, ...], own: dict[str, Word], stdin: Word | None, node: Node) -> Outcome:
    """A command's words: a function, a builtin, or a program."""
    if words[0].text in {"builtin", "command"} and len(words) > 1 and not words[1].text.startswith("-"):
        words = words[1:]
    name, arguments = words[0].text, words[1:]
    if name in walk.state.functions and len(walk.calls) < _DEEPEST_CALL:
        return _function(walk, name, arguments, node)
    special = {"eval": _text, "source": _sourced, ".": _sourced}.get(name)
    if special is not None and arguments:
        return special(walk, arguments, node)
    if name in _LEAVING:
        return Outcome(_LEAVING[name])
    is_run = name in {"conda", "mamba", "micromamba"} and [word.text for word in arguments[:1]] == ["run"]
    if (name == "test" or is_followed(name)) and not is_run:
        return Outcome(succeeds=_builtin(walk.state, name, arguments, stdin))
    walk.found.append(
        Command(
            words=words,
            own=own,
            shell=walk.state.copy(),
            stdin=stdin,
            line=line_of(node),
            standing=(*walk.calls, node.start_byte),
            round=walk.round,
            in_doubt=walk.in_doubt,
        )
    )
    is_question = name.rpartition("/")[2] in _QUESTIONS or HOLE in name
    return Outcome(Flow.EXIT if name == "exec" and arguments else None, None if is_question else True)


def _builtin(state: State, name: str, arguments: Sequence[Word], stdin: Word | None) -> bool | None:
    if name == "test":
        return test_of_words(arguments, state)
    if name == "read" and stdin is not None:
        return read_text(state, arguments, stdin)
    return run_builtin(name, state, arguments)


def _function(walk: Walk, name: str, arguments: tuple[Word, ...], node: Node) -> Outcome:
    kept, walk.state.arguments = walk.state.arguments, arguments
    frame = Frame(Flow.RETURN)
    walk.frames.append(frame)
    calls, walk.calls = walk.calls, (*walk.calls, node.start_byte)
    outcome = walk.statement(walk.state.functions[name])
    walk.calls = calls
    walk.frames.pop()
    if frame.left:
        walk.state.become(merge(frame.left if outcome.flow is Flow.EXIT else [*frame.left, walk.state]))
        outcome = Outcome(succeeds=None)
    walk.state.arguments = kept
    walk.state.variables.update(frame.before)
    return outcome if outcome.flow is Flow.EXIT else Outcome(succeeds=outcome.succeeds)


def _text(walk: Walk, words: Sequence[Word], node: Node) -> Outcome:
    """``eval``: a text whose beginning is known is followed."""
    note_conda(walk.state, text_of(node))
    whole = joined(words)
    if whole.text.startswith(HOLE) or len(walk.calls) >= _DEEPEST_CALL:
        return Outcome(succeeds=None)
    calls, walk.calls = walk.calls, (*walk.calls, node.start_byte)
    outcome = walk.sequence(parse(walk.state.as_script(whole)).children)
    walk.calls = calls
    return outcome


def _sourced(walk: Walk, words: Sequence[Word], node: Node) -> Outcome:
    """``source``: an activation, a text that this script has written, or a file of the user's own that is here."""
    path = words[0].text
    note_conda(walk.state, path)
    if words[0].unknown:
        return Outcome(succeeds=None)
    if activate(walk.state, words):
        return DONE
    text = walk.state.written(path)
    name = PurePosixPath(path).name
    is_system = path.startswith(_SYSTEM_FOLDERS) or name.startswith(".") or name in _SYSTEM_FILES
    if text is None and not is_system and (content := walk.state.read(path)) is not None:
        text = Word(content)
    if text is None:
        return DONE
    outcome = _text(walk, [text], node)
    return DONE if outcome.flow is Flow.RETURN else outcome


_HANDLERS: Mapping[str, Callable[[Walk, Node], Outcome]] = {
    "variable_assignment": _assignment,
    "variable_assignments": _assignment,
    "declaration_command": _declaration,
    "unset_command": _unset,
    "redirected_statement": _redirected,
    "command": _command,
}
