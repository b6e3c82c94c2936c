"""Follows the control structures of a shell script: lists, branches, loops, subshells.

Branches are taken where their condition is known. Where it is not, every branch is followed from the same state, and
what they do not agree about is not known afterwards. Loops over known values are followed round by round, others once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from advisor.inspection.shell.arithmetic import NotKnown
from advisor.inspection.shell.conditions import matches, test_of
from advisor.inspection.shell.expansion import expand_all, expand_one, number
from advisor.inspection.shell.grammar import text_of
from advisor.inspection.shell.outcome import DONE, Command, Flow, Frame, Outcome, TooLong
from advisor.inspection.shell.state import State, Word, hole, merge

if TYPE_CHECKING:
    from tree_sitter import Node

Simple = Callable[["Walk", "Node"], Outcome]

_MOST_STEPS = 20_000
_MOST_ROUNDS = 1000


class Walk:
    """One walk through a script. ``state`` is the current shell's; ``simple`` follows what is no control structure."""

    def __init__(self, state: State, simple: Simple) -> None:
        self.state = state
        self.simple = simple
        self.found: list[Command] = []
        self.frames: list[Frame] = []
        self.round = 0
        self.in_doubt: tuple[tuple[int, int], ...] = ()
        self.calls: tuple[int, ...] = ()
        self.steps = 0

    # Sequences and conditions

    def sequence(self, nodes: Sequence[Node]) -> Outcome:
        """Statements one after another; ``&`` after one puts it in a shell of its own."""
        outcome = DONE
        for position, node in enumerate(nodes):
            if not node.is_named or node.type == "comment":
                continue
            after = nodes[position + 1] if position + 1 < len(nodes) else None
            if after is not None and after.type == "&":
                self.apart([node])
                outcome = DONE
            else:
                outcome = self.statement(node)
            if outcome.flow is not None:
                return outcome
        return outcome

    def statement(self, node: Node) -> Outcome:
        """One statement.

        Raises:
            TooLong: more statements were followed than any script has.
        """
        self.steps += 1
        if self.steps > _MOST_STEPS:
            raise TooLong
        handler = getattr(self, f"_do_{node.type}", None)
        outcome: Outcome = self.simple(self, node) if handler is None else handler(node)
        return outcome

    def apart(self, nodes: Sequence[Node]) -> Outcome:
        """Statements in a shell of their own: nothing that they set is kept."""
        kept, frames = self.state, self.frames
        self.state, self.frames = kept.copy(), []
        try:
            outcome = self.sequence(nodes)
        finally:
            files = self.state.files
            self.state, self.frames = kept, frames
        self.state.files.update(files)
        return Outcome(succeeds=outcome.succeeds)

    def alternatives(self, node: Node, arms: Sequence[Sequence[Node]]) -> Outcome:
        """Arms of which one is taken, which one is not known: each is followed from the same state."""
        start, going_on = self.state.copy(), []
        outcomes, doubt = [], self.in_doubt
        for position, arm in enumerate(arms):
            self.state.become(start)
            self.in_doubt = (*doubt, (node.id, position))
            outcome = self.sequence(arm)
            outcomes.append(outcome)
            if outcome.flow is None:
                going_on.append(self.state.copy())
            else:
                self.leave(outcome.flow)
        self.in_doubt = doubt
        if not going_on:
            return outcomes[0]
        self.state.become(merge(going_on))
        return Outcome(succeeds=None)

    def leave(self, flow: Flow) -> None:
        """Keep the state in which the innermost loop or function may be left here."""
        wanted = Flow.RETURN if flow is Flow.RETURN else Flow.BREAK
        frame = next((frame for frame in reversed(self.frames) if frame.kind is wanted), None)
        if frame is not None and flow is not Flow.EXIT:
            frame.left.append(self.state.copy())

    def _do_list(self, node: Node) -> Outcome:
        left, sign, right = node.children[0], node.children[1].type, node.children[2:]
        first = self.statement(left)
        if first.flow is not None:
            return first
        if first.succeeds is None:
            self.alternatives(node, [right, []])
            return Outcome(succeeds=None)
        return self.sequence(right) if first.succeeds == (sign == "&&") else first

    def _do_negated_command(self, node: Node) -> Outcome:
        outcome = self.sequence(node.named_children)
        return Outcome(outcome.flow, None if outcome.succeeds is None else not outcome.succeeds)

    def _do_if_statement(self, node: Node) -> Outcome:
        arms: list[tuple[list[Node], list[Node]]] = [([], [])]
        otherwise: list[Node] = []
        is_body = False
        for child in node.children:
            if child.type == "elif_clause":
                at = next(index for index, item in enumerate(child.children) if item.type == "then")
                arms.append((child.children[1:at], child.children[at + 1 :]))
            elif child.type == "else_clause":
                otherwise = child.children[1:]
            elif child.type in {"then", "if", "fi"}:
                is_body = child.type == "then"
            else:
                arms[0][int(is_body)].append(child)
        return self.choose(node, arms, otherwise)

    def choose(self, node: Node, arms: Sequence[tuple[list[Node], list[Node]]], otherwise: list[Node]) -> Outcome:
        """``if`` and ``elif``: the first arm whose condition holds."""
        possible: list[list[Node]] = []
        for condition, body in arms:
            outcome = self.sequence(condition)
            if outcome.flow is not None:
                return outcome
            if outcome.succeeds is not False:
                possible.append(body)
            if outcome.succeeds:
                break
        else:
            possible.append(otherwise)
        return self.sequence(possible[0]) if len(possible) == 1 else self.alternatives(node, possible)

    def _do_case_statement(self, node: Node) -> Outcome:
        value_node = node.child_by_field_name("value")
        value = expand_one(value_node, self.state) if value_node is not None else hole("case")
        possible: list[list[Node]] = []
        is_certain = False
        for item in (child for child in node.named_children if child.type == "case_item"):
            patterns = item.children_by_field_name("value")
            verdicts = [matches(pattern, value, self.state) for pattern in patterns]
            if not any(verdict is not False for verdict in verdicts):
                continue
            possible.append(
                [child for child in item.children if child not in patterns and child.type not in {";;", "|", ")"}]
            )
            if any(verdicts):
                is_certain = True
                break
        if not is_certain:
            possible.append([])
        return self.sequence(possible[0]) if len(possible) == 1 else self.alternatives(node, possible)

    # Loops

    def _do_for_statement(self, node: Node) -> Outcome:
        name_node = node.child_by_field_name("variable")
        name = text_of(name_node) if name_node is not None else ""
        given = any(child.type == "in" for child in node.children)
        values = expand_all(node.children_by_field_name("value"), self.state) if given else list(self.state.arguments)
        body = _body(node)
        if any(word.unknown for word in values) or len(values) > _MOST_ROUNDS:
            return self.loop_in_doubt(body, name)
        return self.rounds(body, name, values)

    def rounds(self, body: Sequence[Node], name: str, values: Sequence[Word]) -> Outcome:
        """A loop over known values, round by round."""
        start, found, before = self.state.copy(), len(self.found), self.round
        frame = Frame(Flow.BREAK)
        self.frames.append(frame)
        outcome = DONE
        for position, value in enumerate(values):
            self.state.assign(name, value)
            self.round = before * len(values) + position if len(values) > 1 else before
            outcome = self.sequence(body)
            if frame.left or outcome.flow not in {None, Flow.CONTINUE}:
                break
        self.frames.pop()
        self.round = before
        if frame.left:
            self.state.become(start)
            del self.found[found:]
            return self.loop_in_doubt(body, name)
        return outcome if outcome.flow in {Flow.RETURN, Flow.EXIT} else DONE

    def loop_in_doubt(self, body: Sequence[Node], name: str | None, condition: Sequence[Node] = ()) -> Outcome:
        """A loop that runs unknown times: what differs from round to round is not known inside of it."""
        start, found = self.state.copy(), len(self.found)
        why = "which differs in each round of a loop"
        for is_last in (False, True):
            if name is not None:
                self.state.assign(name, hole(f"${name}, {why}"))
            frame = Frame(Flow.BREAK)
            self.frames.append(frame)
            self.state.loops += 1
            doubt, self.in_doubt = self.in_doubt, (*self.in_doubt, (id(frame), 0))
            self.sequence([*condition, *body])
            self.in_doubt = doubt
            self.state.loops -= 1
            self.frames.pop()
            after = merge([start, self.state, *frame.left], why=why)
            after.loops = start.loops
            self.state.become(after)
            if not is_last:
                del self.found[found:]
        return Outcome(succeeds=None)

    def _do_while_statement(self, node: Node) -> Outcome:
        condition, body = node.children_by_field_name("condition"), _body(node)
        is_until = node.children[0].type == "until"
        start, found = self.state.copy(), len(self.found)
        frame = Frame(Flow.BREAK)
        self.frames.append(frame)
        try:
            for _ in range(_MOST_ROUNDS):
                asked = self.sequence(condition)
                if asked.succeeds is None or frame.left:
                    break
                if asked.succeeds == is_until:
                    return DONE
                outcome = self.sequence(body)
                if outcome.flow in {Flow.RETURN, Flow.EXIT}:
                    return outcome
                if outcome.flow is Flow.BREAK and not frame.left:
                    return DONE
        finally:
            self.frames.pop()
        self.state.become(start)
        del self.found[found:]
        return self.loop_in_doubt(body, None, condition)

    def _do_c_style_for_statement(self, node: Node) -> Outcome:
        first, test, update = (node.child_by_field_name(name) for name in ("initializer", "condition", "update"))
        body, start, found = _body(node), self.state.copy(), len(self.found)
        frame = Frame(Flow.BREAK)
        self.frames.append(frame)
        try:
            self._value(first)
            for _ in range(_MOST_ROUNDS):
                if test is None or not self._value(test):
                    return DONE
                outcome = self.sequence(body)
                if outcome.flow in {Flow.RETURN, Flow.EXIT}:
                    return outcome
                if outcome.flow is Flow.BREAK:
                    return DONE
                if frame.left:
                    break
                self.round += 1
                self._value(update)
        except NotKnown:
            pass
        finally:
            self.frames.pop()
        self.state.become(start)
        del self.found[found:]
        name = first.named_children[0] if first is not None and first.named_children else None
        return self.loop_in_doubt(body, text_of(name) if name is not None else None)

    def _value(self, node: Node | None) -> int:
        return 0 if node is None else number(node, self.state)

    # Compound commands

    def _do_compound_statement(self, node: Node) -> Outcome:
        if node.children[0].type != "((":
            return self.sequence(node.children)
        try:
            return Outcome(succeeds=bool(number(node, self.state)))
        except NotKnown:
            return Outcome(succeeds=None)

    def _do_do_group(self, node: Node) -> Outcome:
        return self.sequence(node.children)

    def _do_subshell(self, node: Node) -> Outcome:
        return self.apart(node.children)

    def _do_pipeline(self, node: Node) -> Outcome:
        outcomes = [self.apart([child]) for child in node.named_children]
        return outcomes[0] if outcomes else DONE

    def _do_function_definition(self, node: Node) -> Outcome:
        name, body = node.child_by_field_name("name"), node.child_by_field_name("body")
        if name is not None and body is not None:
            self.state.functions[text_of(name)] = body
        return DONE

    def _do_test_command(self, node: Node) -> Outcome:
        if node.children[0].type == "((":
            return self._do_compound_statement(node)
        return Outcome(succeeds=test_of(node, self.state))

    def _do_ERROR(self, node: Node) -> Outcome:  # noqa: N802 (the grammar's name of what it cannot read)
        """What is no valid bash for the grammar: its readable parts are followed, none of them is sure."""
        return self.sequence([child for child in node.named_children if child.type not in {"ERROR", "word"}])

    def _do_program(self, node: Node) -> Outcome:
        return self.sequence(node.children)


def _body(node: Node) -> list[Node]:
    body = node.child_by_field_name("body")
    return list(body.children) if body is not None else []
