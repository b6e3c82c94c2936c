"""Rewrite the script's training loops in memory, so that ``Loops`` can run them in a few iterations.

``for x in things: body`` becomes ``for x in loops.each(n, things): loops.mark(n); step = loops.moved(n, "step", step);
body``. Here ``step`` stands for each variable that the body counts up (``step += 1``). A test that ends the loop
(``while step < most``, ``if step >= most: break``) goes through ``loops.compare``, which learns from it how far the
loop is from its end. Only loops that train are rewritten: those with a backward pass or an optimizer step, and those
that call a function which has one.
"""

import ast
import itertools
import re
from typing import Any, Iterator, List, NamedTuple, Optional, Set, Tuple

NAME = "__gsbatch_loops__"
_TRAINING_CALLS = frozenset({"backward", "step", "apply_gradients", "manual_backward", "train_on_batch", "minimize"})
_TRAINING_NAME = re.compile(r"train|epoch|fit|step|optimi[sz]e|update|learn|run|main|fold", re.IGNORECASE)
_STOPPING_NAME = re.compile(r"early|stop|patien|converg|wait|bad_epochs|no_improve|worse|plateau", re.IGNORECASE)
_MOVED = """
try:
    {name} = {loops}.moved({number}, "{name}", {name})
except (NameError, AttributeError):
    pass
"""
_OPERATORS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}


class LoopSource:
    """Numbers the training loops of a script and of its modules, and knows their lines."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._bodies: List[Tuple[str, int, int]] = []  # of training loops: file, first and last line
        self.needed: Set[str] = set()  # what is imported outside of any ``try``

    def compiled(self, source: bytes, path: str) -> Any:
        """The script's code with its training loops rewritten; the code as it is where it has a syntax error."""
        try:
            tree = ast.parse(source, filename=path)
            self.needed |= _imported(tree)
            rewriter = _Rewriter(path, _training_functions(tree), self._numbers, self._bodies)
            tree = ast.fix_missing_locations(rewriter.visit(tree))
            return compile(tree, path, "exec", dont_inherit=True)
        except (SyntaxError, RecursionError):
            return compile(source, path, "exec", dont_inherit=True)

    def is_in_loop(self, path: str, line: int) -> bool:
        """Whether a line of a script stands in one of its training loops."""
        return any(path == file and first <= line <= last for file, first, last in self._bodies)


def _imported(tree: ast.AST) -> Set[str]:
    """Dotted names that are imported without a ``try`` around."""
    names: Set[str] = set()
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.update([node.module] + ["%s.%s" % (node.module, alias.name) for alias in node.names])
        elif not isinstance(node, ast.Try):
            waiting.extend(ast.iter_child_nodes(node))
        else:
            waiting.extend(node.orelse + node.finalbody)
    return names


def _called_names(node: ast.AST) -> Set[str]:
    names = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            if isinstance(inner.func, ast.Attribute):
                names.add(inner.func.attr)
            elif isinstance(inner.func, ast.Name):
                names.add(inner.func.id)
    return names


def _training_functions(tree: ast.AST) -> Set[str]:
    """Names of functions with a backward pass or a step, and of those that call them."""
    calls = {
        node.name: _called_names(node)
        for node in ast.walk(tree)
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    found = set(_TRAINING_CALLS)
    while True:
        more = {name for name, called in calls.items() if called & found} - found
        if not more:
            return found
        found |= more


class _Assigned(NamedTuple):
    """What a loop's body adds to, and what it sets."""

    counted: Set[str]
    plain: Set[str]


class _Rewriter(ast.NodeTransformer):
    def __init__(
        self, path: str, training: Set[str], numbers: Iterator[int], bodies: List[Tuple[str, int, int]]
    ) -> None:
        self._path = path
        self._training = training
        self._numbers = numbers
        self._bodies = bodies
        self._enclosing: List[Tuple[int, _Assigned]] = []

    def visit_FunctionDef(self, node: ast.FunctionDef) -> Any:
        enclosing, self._enclosing = self._enclosing, []
        self.generic_visit(node)
        self._enclosing = enclosing
        return node

    def visit_For(self, node: ast.For) -> Any:
        number, assigned = self._inside(node)
        if number:
            number_node, target = ast.Constant(value=number), ast.Constant(value=_target_text(node.target))
            node.iter = _call("each", number_node, node.iter, target)
            node.body = _marks(number, assigned, node) + node.body
        return node

    def visit_While(self, node: ast.While) -> Any:
        number, assigned = self._inside(node)
        if not number:
            return node
        number_node = ast.Constant(value=number)
        test = _Comparisons(number, self._numbers, leaving=False).visit(node.test)
        node.test = ast.BoolOp(op=ast.And(), values=[test, _call("again", number_node)])
        node.body = _marks(number, assigned, node) + node.body
        around = [ast.copy_location(ast.Expr(value=_call(name, number_node)), node) for name in ("begin", "leave")]
        return [around[0], node, around[1]]

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        if self._enclosing and self._enclosing[-1][0] and _leaves(node.body):
            number, assigned = self._enclosing[-1]
            if _is_early_stop(node.test, assigned):
                node.test = _call("stops_early", ast.Constant(value=number), node.test)
            else:
                node.test = _Comparisons(number, self._numbers, leaving=True).visit(node.test)
        return node

    def _inside(self, node: Any) -> Tuple[int, _Assigned]:
        """Rewrite what is inside a loop; its number, 0 for one that does not train."""
        called = _called_names(node)
        trains = bool(called & self._training) or any(_TRAINING_NAME.search(name) for name in called)
        place = (next(self._numbers) if trains else 0, _assigned(node))
        if trains:
            self._bodies.append((self._path, node.body[0].lineno, node.end_lineno))
        self._enclosing.append(place)
        self.generic_visit(node)
        self._enclosing.pop()
        return place


class _Comparisons(ast.NodeTransformer):
    def __init__(self, number: int, numbers: Iterator[int], leaving: bool) -> None:
        self._number = number
        self._numbers = numbers
        self._leaving = leaving

    def visit_Compare(self, node: ast.Compare) -> Any:
        kind = _OPERATORS.get(type(node.ops[0]))
        if len(node.ops) > 1 or kind is None:
            return node
        site = ast.Constant(value=next(self._numbers))
        given = [ast.Constant(value=self._number), site, ast.Constant(value=kind), ast.Constant(value=self._leaving)]
        return ast.copy_location(_call("compare", *given, node.left, node.comparators[0]), node)


def _call(function: str, *arguments: ast.expr) -> ast.Call:
    called = ast.Attribute(value=ast.Name(id=NAME, ctx=ast.Load()), attr=function, ctx=ast.Load())
    return ast.Call(func=called, args=list(arguments), keywords=[])


def _target_text(node: ast.AST) -> str:
    """Dotted text of a name or attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _target_text(node.value)
        return owner + "." + node.attr if owner else ""
    return ""


def _marks(number: int, assigned: _Assigned, loop: ast.AST) -> List[ast.stmt]:
    """``loops.mark(n)``, and ``a = loops.moved(n, "a", a)`` for what each iteration counts up and never sets.

    What is not set yet, or only under a condition that is false here, stays unset.
    """
    text = "%s.mark(%d)\n" % (NAME, number)
    for name in sorted(assigned.counted - assigned.plain):
        text += _MOVED.format(name=name, loops=NAME, number=number)
    return [_at(statement, loop) for statement in ast.parse(text).body]


def _at(statement: ast.stmt, place: ast.AST) -> ast.stmt:
    for node in ast.walk(statement):
        ast.copy_location(node, place)
    return statement


def _assigned(loop: Any) -> _Assigned:
    found = _Assigned(set(), set(_texts(getattr(loop, "target", None))))
    for statement in loop.body:
        for node in ast.walk(statement):
            if isinstance(node, ast.AugAssign):
                kind = found.counted if isinstance(node.op, (ast.Add, ast.Sub)) else found.plain
                text = _target_text(node.target)
                kind.update([text] if text else [])
            elif isinstance(node, ast.Assign):
                for target in node.targets:
                    found.plain.update(_texts(target))
            elif isinstance(node, (ast.For, ast.comprehension, ast.AnnAssign)):
                found.plain.update(_texts(node.target))
            elif isinstance(node, ast.withitem):
                found.plain.update(_texts(node.optional_vars))
    return found


def _texts(target: Optional[ast.AST]) -> List[str]:
    inner = [] if target is None else [_target_text(node) for node in ast.walk(target)]
    return [text for text in inner if text]


def _leaves(body: List[ast.stmt]) -> bool:
    return any(isinstance(statement, (ast.Break, ast.Return)) for statement in body)


def _is_early_stop(test: ast.expr, assigned: _Assigned) -> bool:
    """A test on how the training goes, which a dry run cannot know: by its name, or a counter that is set back."""
    texts = set(_texts(test))
    if texts & assigned.counted & assigned.plain:
        return True
    return any(_STOPPING_NAME.search(text) for text in texts)
