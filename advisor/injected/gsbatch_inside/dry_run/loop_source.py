"""Rewrite the script's training loops, in memory only, so that loops.py can go over them in a few iterations.

``for x in things: body`` becomes ``for x in loops.each(n, things): step = loops.mark(n, step); body`` where ``step``
stands for whatever the body counts up (``step += 1``). A test that ends the loop (``while step < most``,
``if step >= most: break``) goes through ``loops.compare``, which then knows how far it is from its end. Only loops that
train are touched: those with a backward pass or an optimizer step, or that call a function which has one.
"""

import ast
import itertools
import re
from typing import Any, List, NamedTuple, Optional, Set, Tuple

NAME = "__gsbatch_loops__"
_TRAINING_CALLS = frozenset({"backward", "step", "apply_gradients", "manual_backward", "train_on_batch", "minimize"})
_TRAINING_NAME = re.compile(r"train|epoch|fit|step|optimi[sz]e|update|learn|run|main|fold", re.IGNORECASE)
_STOPPING_NAME = re.compile(r"early|stop|patien|converg|wait|bad_epochs|no_improve|worse|plateau", re.IGNORECASE)
_OPERATORS = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!="}
_numbers = itertools.count(1)
_bodies: List[Tuple[str, int, int]] = []  # of training loops: file, first and last line


def compiled(source: bytes, path: str) -> Any:
    """The script's code with its training loops rewritten; as it stands where it has a mistake."""
    try:
        tree = ast.parse(source, filename=path)
        tree = ast.fix_missing_locations(_Rewriter(path, _training_functions(tree)).visit(tree))
        return compile(tree, path, "exec", dont_inherit=True)
    except (SyntaxError, RecursionError):
        return compile(source, path, "exec", dont_inherit=True)


def is_in_loop(path: str, line: int) -> bool:
    """Whether a line of a script stands in one of its training loops."""
    return any(path == file and first <= line <= last for file, first, last in _bodies)


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
    def __init__(self, path: str, training: Set[str]) -> None:
        self._path = path
        self._training = training
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
            node.body = [ast.copy_location(_mark(number, assigned), node)] + node.body
        return node

    def visit_While(self, node: ast.While) -> Any:
        number, assigned = self._inside(node)
        if not number:
            return node
        number_node = ast.Constant(value=number)
        test = _Comparisons(number, leaving=False).visit(node.test)
        node.test = ast.BoolOp(op=ast.And(), values=[test, _call("again", number_node)])
        node.body = [ast.copy_location(_mark(number, assigned), node)] + node.body
        around = [ast.copy_location(ast.Expr(value=_call(name, number_node)), node) for name in ("begin", "leave")]
        return [around[0], node, around[1]]

    def visit_If(self, node: ast.If) -> Any:
        self.generic_visit(node)
        if self._enclosing and self._enclosing[-1][0] and _leaves(node.body):
            number, assigned = self._enclosing[-1]
            if _is_early_stop(node.test, assigned):
                node.test = _call("stops_early", ast.Constant(value=number), node.test)
            else:
                node.test = _Comparisons(number, leaving=True).visit(node.test)
        return node

    def _inside(self, node: Any) -> Tuple[int, _Assigned]:
        """Rewrite what is inside a loop; its number, 0 for one that does not train."""
        called = _called_names(node)
        trains = bool(called & self._training) or any(_TRAINING_NAME.search(name) for name in called)
        place = (next(_numbers) if trains else 0, _assigned(node))
        if trains:
            _bodies.append((self._path, node.body[0].lineno, node.end_lineno))
        self._enclosing.append(place)
        self.generic_visit(node)
        self._enclosing.pop()
        return place


class _Comparisons(ast.NodeTransformer):
    def __init__(self, number: int, leaving: bool) -> None:
        self._number = number
        self._leaving = leaving

    def visit_Compare(self, node: ast.Compare) -> Any:
        kind = _OPERATORS.get(type(node.ops[0]))
        if len(node.ops) > 1 or kind is None:
            return node
        site = ast.Constant(value=next(_numbers))
        words = [ast.Constant(value=self._number), site, ast.Constant(value=kind), ast.Constant(value=self._leaving)]
        return ast.copy_location(_call("compare", *words, node.left, node.comparators[0]), node)


def _call(function: str, *arguments: ast.expr) -> ast.Call:
    called = ast.Attribute(value=ast.Name(id=NAME, ctx=ast.Load()), attr=function, ctx=ast.Load())
    return ast.Call(func=called, args=list(arguments), keywords=[])


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _target_text(node: ast.AST) -> str:
    """Dotted text of a name or attribute; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        owner = _target_text(node.value)
        return owner + "." + node.attr if owner else ""
    return ""


def _mark(number: int, assigned: _Assigned) -> ast.stmt:
    """``a, b = loops.mark(n, (a, b))`` for what each iteration counts up and never sets; without any, a bare call."""
    names = sorted(assigned.counted - assigned.plain)
    values = ast.Tuple(elts=[_parsed(text) for text in names], ctx=ast.Load())
    marked = _call("mark", ast.Constant(value=number), values)
    if not names:
        return ast.Expr(value=marked)
    assignment = ast.parse("(%s,) = 0" % ", ".join(names)).body[0]
    assignment.value = marked  # type: ignore[attr-defined]
    return assignment


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
